/* Standard input and output, connected with a program that the engine runs. */
#ifndef SAMPAN_CLI_SESSION_H
#define SAMPAN_CLI_SESSION_H

#include "lib/util/detach_keys.h"
#include "runtime/cli/http.h"

struct session {
	struct http *http;	 /* the connection, upgraded */
	bool input;		 /* standard input goes there */
	bool tty;		 /* the program has a terminal */
	const char *resize;	 /* target that the terminal's size is posted to; NULL: none */
	const char *kill;	 /* target that signals are posted to; NULL: they end us */
	const char *detach_keys; /* "ctrl-p,ctrl-q"; NULL: the default */
};

/* What the keys that let go did to the input. */
struct detacher {
	unsigned char keys[DETACH_KEYS_MAX];
	size_t n;
	size_t seen; /* of the keys, held back until it is clear what they are */
};

/*
 * Let the @len bytes of input through that are not the keys.
 * @out: gets at most @len + DETACH_KEYS_MAX bytes; @ret_len how many
 * Returns true when all keys were seen in a row: the rest of the input is dropped.
 */
bool detacher_feed(struct detacher *d, const char *bytes, size_t len, char *out, size_t *ret_len);

enum session_end { SESSION_OVER, SESSION_DETACHED };

/* Block the signals that a session deals with; before the program starts, so that none is lost. */
void session_prepare(const struct session *s);

/*
 * Move input and output until the program's output ends or the user lets go.
 * The terminal is raw meanwhile if the program has one and gets the input.
 * Returns enum session_end; 128 + N when signal N ended it; -errno with @e filled.
 */
int session_run(struct session *s, struct err *e);

/* Post the terminal's size to s->resize, if there is one. */
void session_resize(const struct session *s);

/* Rows and columns of standard output's terminal. Returns false when it is none. */
bool session_size(unsigned *ret_rows, unsigned *ret_columns);

/* Refuse input for a terminal that does not come from one. Returns 0 or -ENOTTY with @e filled. */
int session_check(bool input, bool tty, struct err *e);

#endif
