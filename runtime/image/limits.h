/*
 * Every cap of the image code. An image comes from somebody else: each number is what a hostile one
 * may cost at most, and is far above what real images need.
 */
#ifndef SAMPAN_IMAGE_LIMITS_H
#define SAMPAN_IMAGE_LIMITS_H

/* bytes of one manifest, index or image config; registries refuse more as well */
#define IMAGE_JSON_BYTES_MAX (4u << 20)

/* indexes inside indexes, levels */
#define IMAGE_INDEX_DEPTH_MAX 4

/* manifests looked at while one is picked */
#define IMAGE_MANIFESTS_MAX 1024

/* layers of one image; Docker makes at most 127 */
#define IMAGE_LAYERS_MAX 512

/* entries of an image that is one tar file; five per layer is what Docker writes */
#define IMAGE_TAR_ENTRIES_MAX 8192

/* bytes of one pax or GNU long-name record in that tar file */
#define IMAGE_TAR_RECORD_BYTES_MAX (64u << 10)

/* symlinks followed from one name to another inside that tar file */
#define IMAGE_TAR_LINKS_MAX 8

/* files, directories and whiteouts in all layers together */
#define IMAGE_ENTRIES_MAX 4000000u

/* bytes that all layers together may unpack to, apparent size, unless the caller says otherwise */
#define IMAGE_UNPACKED_BYTES_DEFAULT (32ull << 30)

/* bytes behind the end of a layer's tar file: padding, which writers make 10 KiB of at most */
#define IMAGE_TAR_TRAILER_BYTES_MAX (16u << 20)

/* components of one path inside a layer, and levels of a directory tree that a whiteout removes */
#define IMAGE_PATH_DEPTH_MAX 256

/* extended attributes of one entry, and bytes of one value (the kernel's XATTR_SIZE_MAX) */
#define IMAGE_XATTRS_MAX 128
#define IMAGE_XATTR_BYTES_MAX 65536u

/* bytes of the image's /etc/passwd and /etc/group, and supplementary groups (NGROUPS_MAX is 65536,
 * runtimes pass far fewer) */
#define IMAGE_ACCOUNTS_BYTES_MAX (1u << 20)
#define IMAGE_GROUPS_MAX 256

/* bytes read from a layer at a time: large reads keep the disk and the hash busy */
#define IMAGE_READ_BYTES (256u << 10)

/* parent directories kept open while a layer is unpacked */
#define IMAGE_OPEN_PARENTS 32

#endif
