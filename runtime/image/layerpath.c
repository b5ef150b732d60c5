#include "runtime/image/layerpath.h"

#include "runtime/image/limits.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int layer_path_clean(const char *path, char *out, size_t size)
{
	size_t used = 0;
	unsigned depth = 0;

	while (*path) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.')) {
			path += len;
			continue;
		}
		if (len == 2 && path[0] == '.' && path[1] == '.')
			return -EPERM;
		if (++depth > IMAGE_PATH_DEPTH_MAX)
			return -ELOOP;
		if (len > NAME_MAX || used + len + 2 > size)
			return -ENAMETOOLONG;
		if (used)
			out[used++] = '/';
		memcpy(out + used, path, len);
		used += len;
		path += len;
	}
	out[used] = '\0';
	return 0;
}

int layer_name_classify(const char *name, const char **ret_hidden)
{
	if (strncmp(name, ".wh.", 4) != 0)
		return LAYER_NAME_PLAIN;
	if (strcmp(name, ".wh..wh..opq") == 0)
		return LAYER_NAME_OPAQUE;
	if (strncmp(name, ".wh..wh.", 8) == 0)
		return LAYER_NAME_RESERVED;
	name += 4;
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	*ret_hidden = name;
	return LAYER_NAME_WHITEOUT;
}

enum layer_xattr layer_xattr_classify(const char *name)
{
	static const struct {
		const char *prefix;
		enum layer_xattr kind;
	} special[] = {
		{"trusted.overlay.", LAYER_XATTR_REFUSED},
		{"user.overlay.", LAYER_XATTR_REFUSED},
		{"security.selinux", LAYER_XATTR_LOCAL},
		{"system.nfs4_acl", LAYER_XATTR_LOCAL},
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (strncmp(name, special[i].prefix, strlen(special[i].prefix)) == 0)
			return special[i].kind;
	return LAYER_XATTR_PLAIN;
}
