/*
 * The standard input, output and error of containers and exec'ed programs: pipes or a terminal.
 * One thread (stdio_loop) reads all of them, into the log and to whoever is attached.
 */
#ifndef SAMPAN_ENGINE_STDIO_H
#define SAMPAN_ENGINE_STDIO_H

#include "lib/util/buf.h"
#include "runtime/engine/logfile.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct stdio;

struct stdio_loop {
	int epoll;
	pthread_t thread;
	pthread_mutex_t lock;
	struct stdio
		*abandoned; /* whose references the thread gives back once no event is under way */
};

struct stdio_stream {
	struct stdio *io;
	enum log_stream which;
	int fd;	      /* -1: none, or ended */
	bool watched; /* the loop has a reference */
	bool paused;
};

/* A client that gets the output. */
struct attach {
	struct attach *next;
	struct stdio *io;
	bool streams[LOG_STREAMS]; /* wanted */
	bool framed;		   /* with a header before each piece; else as it comes */
	size_t keep;		   /* bytes, then the rest is dropped; 0: all is kept */
	bool cut;		   /* something was dropped */
	struct buf queue;	   /* under io->lock */
	int event;		   /* readable when there is something in the queue, or the end */
};

struct stdio {
	struct stdio_loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* output grew or ended */
	unsigned refs;
	unsigned owed; /* references that the loop gives back */
	struct stdio *next_abandoned;
	bool tty;
	bool started; /* it belongs to a program, or to one that could not be started */
	bool open;    /* the program's descriptors are there */
	bool held; /* clients hear of the end by stdio_abandon, when the exit code is on record */
	bool over; /* clients were told of it */
	int in;	   /* written to by clients; the terminal's master when tty; -1: closed */
	struct stdio_stream out[LOG_STREAMS];
	struct attach *attached;
	struct logfile log;
	uint64_t written; /* bytes of output that went into the log */
	bool ended;	  /* all streams have */
};

/* Start the thread. Returns 0 or -errno. */
int stdio_loop_start(struct stdio_loop *loop, struct err *e);

/* Returns a new one with one reference and no descriptors, or NULL. */
struct stdio *stdio_new(struct stdio_loop *loop, bool tty);
void stdio_ref(struct stdio *io);
void stdio_unref(struct stdio *io);

/*
 * Make the pipes.
 * @wanted: which of 0 to 2 are pipes; the others are /dev/null
 * @ret_child: descriptors 0 to 2 for the program, owned by the caller
 */
int stdio_make_pipes(
	struct stdio *io, const bool wanted[static 3], int ret_child[static 3], struct err *e);

/* Take over the master of the program's terminal. */
int stdio_set_terminal(struct stdio *io, int master, struct err *e);

/* Begin to read. Returns 0 or -errno. */
int stdio_start(struct stdio *io, struct err *e);

/* Wait until all output was read, for at most @ms milliseconds. */
void stdio_wait_end(struct stdio *io, uint64_t ms);

/* Let what is left be: the program is gone, something else may hold the pipes. */
void stdio_abandon(struct stdio *io);

/* Write to the program's input what fits without waiting. Returns bytes, 0 while it is full;
 * -EPIPE when nobody will read it. */
ssize_t stdio_write(struct stdio *io, const void *bytes, size_t len);

/* A descriptor to wait for room in the program's input, owned by the caller; -1: closed. */
int stdio_input(struct stdio *io);
void stdio_close_stdin(struct stdio *io);

/* Have a terminal change its size. */
int stdio_resize(struct stdio *io, unsigned rows, unsigned columns);

/* Join those who get the output. Returns 0 or -errno. */
int attach_begin(struct attach *a, struct stdio *io, bool out, bool err);
void attach_end(struct attach *a);

/* Whether the program is there to read input. Until then it waits where it comes from. */
bool attach_takes_input(const struct attach *a);

/* Move what waits into @ret. Returns true when nothing will follow any more. */
bool attach_take(struct attach *a, struct buf *ret);

#endif
