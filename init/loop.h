/* The one loop: epoll over everything that init waits for. */
#ifndef SAMPAN_INIT_LOOP_H
#define SAMPAN_INIT_LOOP_H

#include <stdint.h>

enum loop_kind {
	LOOP_SIGNAL,
	LOOP_TIMER,
	LOOP_LISTEN,  /* init.sock */
	LOOP_CLIENT,  /* a connection to it */
	LOOP_LOG,     /* output of a service */
	LOOP_SETUP,   /* a child before its exec */
	LOOP_NOTIFY,  /* readiness of a service */
	LOOP_ADOPTED, /* pidfd of what is not our child yet */
	LOOP_CONSOLE, /* room on the console */
	LOOP_DEVICES, /* something appeared in /dev */
	LOOP_BUTTON,  /* an input device */
	LOOP_KINDS
};

/* Returns 0 or -errno. The loop then needs no allocation any more. */
int loop_open(void);

/* Say who is called for descriptors of @kind, with the index given to loop_add(). */
void loop_on(enum loop_kind kind, void (*handler)(unsigned index));

/* Watch @fd (borrowed) for @events (EPOLLIN, …), level-triggered. Returns 0 or -errno. */
int loop_add(int fd, uint32_t events, enum loop_kind kind, unsigned index);
int loop_change(int fd, uint32_t events, enum loop_kind kind, unsigned index);
void loop_remove(int fd);

/*
 * Wait for events and call their handlers, once. A handler may be called for a descriptor that an
 * earlier handler closed in the same turn, so all of them read without blocking.
 * @deadline_ms: CLOCK_BOOTTIME at which to return without an event; UINT64_MAX is never
 */
void loop_turn(uint64_t deadline_ms);

#endif
