/* A hijacked connection: a program's output to the client, the client's input to it. */
#ifndef SAMPAN_API_SESSION_H
#define SAMPAN_API_SESSION_H

#include "runtime/api/call.h"
#include "runtime/engine/stdio.h"

struct session {
	struct http_conn *conn;
	struct stdio *io;
	struct attach a;
	bool with_stdin;
	bool once;		      /* the program's input ends with this client's */
	void (*end_input)(void *arg); /* … by this */
	void *arg;
	bool input_on;	    /* the client may still send */
	struct buf pending; /* input that the program has no room for yet */
};

/*
 * Until the program's output is at its end or the client is gone. The session is attached.
 * @s: conn, io, with_stdin, once, end_input and arg are filled, the rest is zero
 */
void session_run(struct session *s);

#endif
