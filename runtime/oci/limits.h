/* Every cap of the runtime, with its unit. */
#ifndef SAMPAN_OCI_LIMITS_H
#define SAMPAN_OCI_LIMITS_H

/* bytes of config.json or process.json; a generated one is about 30 KiB */
#define OCI_CONFIG_BYTES_MAX (4U << 20)

/* bytes of a linux.resources for update */
#define OCI_RESOURCES_BYTES_MAX (1U << 20)

/* bytes of a cgroup's file with limits: a line of about 80 for each device */
#define OCI_CGROUP_FILE_BYTES_MAX (16U << 10)

/* bytes of state.json: it repeats the annotations */
#define OCI_STATE_BYTES_MAX (5U << 20)

/* bytes of a container's id: it becomes a directory name */
#define OCI_ID_BYTES_MAX 200

/* instructions of one seccomp filter: BPF_MAXINSNS of the kernel */
#define OCI_SECCOMP_INSNS_MAX 4096

/* files, and bytes of all of them, in the cache of compiled filters: it lies in memory. The default
 * profile of an engine takes about 20 KiB. */
#define OCI_SECCOMP_CACHE_FILES_MAX 64
#define OCI_SECCOMP_CACHE_BYTES_MAX (1U << 20)

/* milliseconds that a seccomp agent may take to read what it is told of a process */
#define OCI_SECCOMP_SEND_MS 10000

/* rules of one device list; each is at most seven instructions of a million */
#define OCI_DEVICE_RULES_MAX 4096

/* device programs that are kept for the next container: entries of their folder, a few kB each */
#define OCI_DEVICE_PINS_MAX 64

/* milliseconds that delete --force waits for killed processes to be gone */
#define OCI_KILL_WAIT_MS 10000

/* milliseconds that pause waits for the last process to freeze */
#define OCI_FREEZE_WAIT_MS 10000

/* interfaces that one container may take, and addresses that go along with each */
#define OCI_NETDEVS_MAX 256
#define OCI_NETDEV_ADDRS_MAX 1024

/* lines of uid_map or gid_map: the kernel's limit since 4.15 */
#define OCI_ID_MAPS_MAX 340

/* bytes of one message of CRIU's */
#define OCI_CRIU_MESSAGE_BYTES_MAX (64U << 10)

/* bytes at the end of CRIU's log in which the reason of a failure is looked for */
#define OCI_CRIU_LOG_BYTES_MAX (64U << 10)

/* bytes of the list of standard descriptors beside CRIU's images */
#define OCI_DESCRIPTORS_BYTES_MAX 4096

#endif
