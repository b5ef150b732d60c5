/* Every cap of the engine. */
#ifndef SAMPAN_ENGINE_LIMITS_H
#define SAMPAN_ENGINE_LIMITS_H

/* events that are kept for clients that ask for the past; Docker keeps as many */
#define EVENTS_KEPT 256

/* bytes of output that one attached client may be behind; then its container waits */
#define ATTACH_BEHIND_MAX (1u << 20)

/* bytes of a line in one log record; a longer one is split, as Docker does */
#define LOG_LINE_BYTES_MAX 16384

/* milliseconds that the output of a container that ended may still be on its way, when something
 * else holds its pipes */
#define OUTPUT_LEFT_MS 2000

/* milliseconds to wait for the end of a process after SIGKILL */
#define KILL_WAIT_MS 10000

/* seconds between the stop signal and SIGKILL, if nothing else is said */
#define STOP_TIMEOUT_S 10

/* milliseconds: the first wait before a restart, doubled each time up to the longest, and the run
 * after which it starts over. Docker's numbers. */
#define RESTART_FIRST_MS 100
#define RESTART_LONGEST_MS 60000
#define RESTART_HEALTHY_MS 10000

/* bytes of the stack on which the end of a container is dealt with */
#define ENDING_STACK_BYTES (256u << 10)

#endif
