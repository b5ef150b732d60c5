/* Every cap of init, with its unit. */
#ifndef SAMPAN_INIT_LIMITS_H
#define SAMPAN_INIT_LIMITS_H

/* services; one file each */
#define SERVICES_MAX 64

/* bytes; the longest service file */
#define SERVICE_FILE_BYTES_MAX 8192

/* bytes; an exec= line after its quotes are gone, each argument's NUL included */
#define SERVICE_ARGS_BYTES_MAX 1024
#define SERVICE_ARGS_MAX 32

/* names in one after= */
#define SERVICE_AFTER_MAX 8

/* cgroup.FILE= lines of one service, and the bytes of a value, its NUL included */
#define SERVICE_LIMITS_MAX 8
#define SERVICE_LIMIT_BYTES_MAX 64

/* bytes; a path in a service file, its NUL included */
#define SERVICE_PATH_BYTES_MAX 128

/* bytes; what `sampan logs` can show of one service */
#define LOG_RING_BYTES 16384

/* bytes; a longer line is shown on the console in pieces */
#define CONSOLE_LINE_BYTES_MAX 512

/* processes adopted for the engine */
#define ADOPTED_MAX 1024

/* descriptors kept for the engine */
#define KEPT_FDS_MAX 2048

/* connections to init.sock */
#define CLIENTS_MAX 32

/* descriptors of init itself: what is above, and pipes */
#define INIT_NOFILE 8192

/* descriptors a service may open: soft, and what it may raise that to */
#define SERVICE_NOFILE_SOFT 1024
#define SERVICE_NOFILE_HARD 524288

/* input devices listened to: power buttons and keyboards */
#define BUTTONS_MAX 8

/* bytes of /proc/cmdline; the largest COMMAND_LINE_SIZE of our architectures */
#define CMDLINE_BYTES_MAX 4096

/* children taken per turn of the loop, so that a fork bomb's corpses do not keep it from the rest
 */
#define REAP_BATCH 256

/* milliseconds; one run of sampan-oci. Creating a container takes tens of them. */
#define OCI_STEP_MS 60000

/* How long the other services let containers that wait for nothing start before them. */
#define CONTAINERS_FIRST_MS 1000

/* milliseconds; between two SIGKILLs to what does not die (a process in uninterruptible sleep) */
#define KILL_AGAIN_MS 5000

/* milliseconds; how long others wait for a service with ready=fd */
#define READY_TIMEOUT_MS 60000

/* milliseconds; the whole shutdown until services are killed, and unmounting after that */
#define SHUTDOWN_MS 90000
#define UNMOUNT_MS 20000

/* milliseconds; adopted containers between SIGTERM and SIGKILL at shutdown, and after SIGKILL */
#define ADOPTED_STOP_MS 10000
#define KILL_ALL_MS 5000

/* milliseconds; the hardware watchdog */
#define WATCHDOG_MS 30000

/* milliseconds; between tries of what failed for lack of descriptors or memory */
#define RETRY_MS 1000

/* bytes; memory that the kernel never takes from PID 1: about three times what it uses */
#define INIT_MEMORY_MIN "2097152"

/* percent of the kernel's process numbers that all containers, and all services, may have together;
 * the rest is for init and the kernel's own threads */
#define CONTAINERS_PIDS_PERCENT 60
#define SERVICES_PIDS_PERCENT 25

#endif
