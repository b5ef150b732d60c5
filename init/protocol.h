/*
 * The words spoken on /run/init.sock, a SOCK_SEQPACKET socket: one message per packet, of the exact
 * size that its type has. docs/init.md explains each request.
 *
 * A client asks and reads one answer; only INIT_EXITED arrives unasked, and only after
 * INIT_SUBSCRIBE. So a client that does not read costs init nothing. Numbers are in the machine's
 * byte order; strings are NUL-terminated. Peers must be root (or, off PID 1, init's own user).
 */
#ifndef SAMPAN_INIT_PROTOCOL_H
#define SAMPAN_INIT_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INIT_SOCKET_NAME "init.sock" /* in /run */

/* bytes, the NUL included */
#define INIT_ID_BYTES 72      /* a service's name, or a container's id of 64 characters */
#define INIT_FD_NAME_BYTES 24 /* what a kept descriptor is called */
#define INIT_TEXT_BYTES 160

/* bytes of log in one answer */
#define INIT_LOG_BYTES 4096

enum init_msg_type {
	/* requests */
	INIT_STATUS = 1, /* init_index → INIT_SERVICE_INFO; an id instead of an index if not "" */
	INIT_START,	 /* init_header → INIT_OK when it is up, else INIT_ERROR */
	INIT_STOP,	 /* init_header → INIT_OK when it is down */
	INIT_RESTART,	 /* init_header → as INIT_START */
	INIT_LOGS,	 /* init_logs → INIT_LOG_DATA */
	INIT_SHUTDOWN,	 /* init_shutdown → INIT_OK, then the end */
	INIT_ADOPT,	 /* init_adopt, with or without a pidfd → INIT_OK */
	INIT_SUBSCRIBE, /* init_header, id "" → INIT_OK, then INIT_EXITED whenever there is one */
	INIT_ACK,	/* init_header: the exit of id is on record; forget it → INIT_OK */
	INIT_ADOPTED,	/* init_index → INIT_ADOPTED_INFO */
	INIT_KEEP_FD,	/* init_fd, with one descriptor → INIT_OK */
	INIT_GIVE_FD, /* init_index, with an id → INIT_FD and the descriptor; init keeps its own */
	INIT_DROP_FDS, /* init_fd; name "" is all of id → INIT_OK */
	INIT_REQUESTS,

	/* answers */
	INIT_OK = 64,	   /* init_header */
	INIT_ERROR,	   /* init_error */
	INIT_END,	   /* init_header: the index is past the last one */
	INIT_SERVICE_INFO, /* init_service_info */
	INIT_LOG_DATA,	   /* init_log_data */
	INIT_EXITED,	   /* init_exit */
	INIT_ADOPTED_INFO, /* init_exit; code is 0 while it runs */
	INIT_FD,	   /* init_fd */
	INIT_ANSWERS,
};

enum init_shutdown_how { INIT_POWEROFF = 1, INIT_REBOOT, INIT_HALT };

struct init_header {
	uint32_t type;
	uint32_t len; /* bytes of the whole message */
	char id[INIT_ID_BYTES];
};

struct init_index {
	struct init_header h;
	uint32_t index; /* 0 … until the answer is INIT_END */
	uint32_t zero;
};

struct init_logs {
	struct init_header h; /* id "init" is init's own log */
	uint64_t cursor;      /* 0 at first, then that of the last answer */
	uint32_t
		follow; /* 1: answer when there is more; 0: answer at once, with len 0 at the end */
	uint32_t zero;
};

struct init_log_data {
	struct init_header h;
	uint64_t cursor; /* behind the last byte of data; data starts at cursor - len */
	uint32_t len;
	uint32_t zero;
	char data[INIT_LOG_BYTES];
};

struct init_shutdown {
	struct init_header h;
	uint32_t how; /* enum init_shutdown_how */
	uint32_t zero;
};

struct init_adopt {
	struct init_header h;
	int32_t pid; /* in init's PID namespace */
	uint32_t zero;
};

struct init_fd {
	struct init_header h;
	char name[INIT_FD_NAME_BYTES];
};

struct init_exit {
	struct init_header h;
	int32_t pid;
	uint32_t code;	/* CLD_EXITED, CLD_KILLED, CLD_DUMPED of siginfo_t; INIT_EXIT_LOST */
	int32_t status; /* the exit status or the signal's number */
	uint32_t zero;
	uint64_t when_ms; /* CLOCK_BOOTTIME */
};

/* The process was another's child when it ended, and that parent has its status. */
#define INIT_EXIT_LOST 255

struct init_error {
	struct init_header h;
	int32_t errnum; /* positive errno */
	uint32_t zero;
	char text[INIT_TEXT_BYTES];
};

struct init_service_info {
	struct init_header h;
	int32_t pid;	   /* 0: none */
	uint32_t restarts; /* since the boot or the last start by hand */
	uint64_t since_ms; /* CLOCK_BOOTTIME, when it came into this state */
	int32_t exit_code; /* of its last run that ended; 128 + N for signal N */
	uint32_t zero;
	char state[16];
	char what[INIT_TEXT_BYTES];
	char bundle[INIT_TEXT_BYTES]; /* of a declared container; "" for a program */
};

/* Returns the exact size of a message of this type, in bytes; 0 when there is no such type. */
static inline size_t init_msg_len(uint32_t type)
{
	static const uint16_t len[INIT_ANSWERS] = {
		[INIT_STATUS] = sizeof(struct init_index),
		[INIT_START] = sizeof(struct init_header),
		[INIT_STOP] = sizeof(struct init_header),
		[INIT_RESTART] = sizeof(struct init_header),
		[INIT_LOGS] = sizeof(struct init_logs),
		[INIT_SHUTDOWN] = sizeof(struct init_shutdown),
		[INIT_ADOPT] = sizeof(struct init_adopt),
		[INIT_SUBSCRIBE] = sizeof(struct init_header),
		[INIT_ACK] = sizeof(struct init_header),
		[INIT_ADOPTED] = sizeof(struct init_index),
		[INIT_KEEP_FD] = sizeof(struct init_fd),
		[INIT_GIVE_FD] = sizeof(struct init_index),
		[INIT_DROP_FDS] = sizeof(struct init_fd),
		[INIT_OK] = sizeof(struct init_header),
		[INIT_ERROR] = sizeof(struct init_error),
		[INIT_END] = sizeof(struct init_header),
		[INIT_SERVICE_INFO] = sizeof(struct init_service_info),
		[INIT_LOG_DATA] = sizeof(struct init_log_data),
		[INIT_EXITED] = sizeof(struct init_exit),
		[INIT_ADOPTED_INFO] = sizeof(struct init_exit),
		[INIT_FD] = sizeof(struct init_fd),
	};

	return type < INIT_ANSWERS ? len[type] : 0;
}

/*
 * Check one packet before anything else looks at it.
 * Returns NULL if @buf holds a whole message of a known type whose id is terminated, else what is
 * wrong with it.
 */
static inline const char *init_msg_check(const void *buf, size_t len)
{
	struct init_header h;

	if (len < sizeof(h))
		return "shorter than a header";
	memcpy(&h, buf, sizeof(h));
	if (init_msg_len(h.type) == 0)
		return "unknown type";
	if (h.len != len || init_msg_len(h.type) != len)
		return "wrong length";
	if (!memchr(h.id, '\0', sizeof(h.id)))
		return "id not terminated";
	return NULL;
}

/* Start a message of @type in @msg, which is cleared to the size of that type. @id may be NULL. */
static inline void init_msg_begin(void *msg, uint32_t type, const char *id)
{
	struct init_header *h = msg;
	size_t len = id ? strnlen(id, INIT_ID_BYTES - 1) : 0;

	memset(msg, 0, init_msg_len(type));
	h->type = type;
	h->len = (uint32_t)init_msg_len(type);
	if (len > 0)
		memcpy(h->id, id, len);
}

#endif
