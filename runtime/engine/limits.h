/* Every cap of the engine. */
#ifndef SAMPAN_ENGINE_LIMITS_H
#define SAMPAN_ENGINE_LIMITS_H

/* events that are kept for clients that ask for the past; Docker keeps as many */
#define EVENTS_KEPT 256

/* bytes of output that one attached client may be behind; then its container waits */
#define ATTACH_BEHIND_MAX (1u << 20)

/* bytes of a line in one log record; a longer one is split, as Docker does */
#define LOG_LINE_BYTES_MAX 16384

/* files of one log, and attributes (labels, variables) that each of its records carries; bytes of
 * such a name that a regular expression is asked about */
#define LOG_FILES_MAX 1000
#define LOG_ATTRS_MAX 64
#define LOG_ATTR_NAME_BYTES_MAX 1023

/* milliseconds that the output of a container that ended may still be on its way, when something
 * else holds its pipes */
#define OUTPUT_LEFT_MS 2000

/* milliseconds to wait for the end of a process after SIGKILL */
#define KILL_WAIT_MS 10000

/* seconds between the stop signal and SIGKILL, if nothing else is said */
#define STOP_TIMEOUT_S 10

/* milliseconds for all containers when the machine goes down; init gives the engine 80 s */
#define SHUTDOWN_STOP_MS 70000

/* milliseconds: the first wait before a restart, doubled each time up to the longest, and the run
 * after which it starts over. Docker's numbers. */
#define RESTART_FIRST_MS 100
#define RESTART_LONGEST_MS 60000
#define RESTART_HEALTHY_MS 10000

/* exec instances that are known, those that are done included */
#define EXECS_MAX 2048

/* milliseconds that an exec instance which is done is kept for those who ask, and twice that at
 * most. Docker looks every five minutes, and removes what it has seen before. */
#define EXEC_KEPT_MS 300000

/* bytes of an exec instance's record: a JSON body and what it grows by when escaped */
#define EXEC_RECORD_BYTES_MAX (8u << 20)

/* health probes: bytes of output in a result, results that are kept, Docker's times in
 * milliseconds, and failures until it is unhealthy */
#define HEALTH_OUTPUT_BYTES 4096
#define HEALTH_LOG 5
#define HEALTH_INTERVAL_MS 30000
#define HEALTH_TIMEOUT_MS 30000
#define HEALTH_START_INTERVAL_MS 5000
#define HEALTH_RETRIES 3

/* bytes of health.json: results whose every byte is escaped */
#define HEALTH_RECORD_BYTES_MAX (256u << 10)

/* bytes of the stack on which the end of a container is dealt with */
#define ENDING_STACK_BYTES (256u << 10)

#endif
