#include "runtime/oci/seccomp_notify.h"

#include "lib/base/fd.h"
#include "runtime/oci/commands.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/sync.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* bytes; it needs an err and a sync_msg */
#define SENDER_STACK_BYTES 65536

/* What the two threads tell each other. */
struct handover {
	struct seccomp_agent *agent;
	int tell;
	atomic_int listener; /* NOT_LOADED; the descriptor; -errno: nothing was loaded */
	atomic_bool sent;
};

enum { NOT_LOADED = -4096 /* below every -errno */ };

int seccomp_agent_connect(const char *path, struct err *e)
{
	const struct timeval limit = {.tv_sec = OCI_SECCOMP_SEND_MS / 1000};
	AUTO_CLOSE int fd = connect_unix("linux.seccomp.listenerPath", path, e);

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_set(e, errno, "linux.seccomp.listenerPath: %s", strerror(errno));
	return TAKE_FD(fd);
}

int seccomp_agent_describe(struct seccomp_agent *a, const struct config_seccomp *s,
	const struct state *state, enum container_status status, bool first, int host_proc,
	struct err *e)
{
	struct state now = *state;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *fds;
	char link[32];
	ssize_t n = readlinkat(host_proc, "self", link, sizeof(link) - 1);
	int64_t pid;

	if (n < 0) {
		yyjson_mut_doc_free(doc);
		return err_set(e, errno, "linux.seccomp: read /proc/self: %s", strerror(errno));
	}
	link[n] = '\0';
	pid = strtol(link, NULL, 10);
	if (first)
		now.pid.v = pid;
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "ociVersion", OCI_VERSION);
	fds = yyjson_mut_obj_add_arr(doc, top, "fds");
	yyjson_mut_arr_add_str(doc, fds, "seccompFd");
	yyjson_mut_obj_add_int(doc, top, "pid", pid);
	if (s->listener_metadata)
		yyjson_mut_obj_add_str(doc, top, "metadata", s->listener_metadata);
	yyjson_mut_obj_add_val(doc, top, "state", state_value(doc, &now, status));
	a->text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &a->len);
	yyjson_mut_doc_free(doc);
	return a->text ? 0 : err_set(e, ENOMEM, "linux.seccomp.listenerPath: out of memory");
}

/* The descriptor goes with the first bytes and no others, as the spec has it. */
static int send_state(const struct seccomp_agent *a, int listener)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = a->text, .iov_len = a->len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	while (iov.iov_len > 0) {
		ssize_t n = sendmsg(a->fd, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	}
	return 0;
}

static void *send_listener(void *arg)
{
	struct handover *h = arg;
	struct err e = {0};
	int listener;
	int r;

	/* For the time that one system call of the other thread takes. */
	while ((listener = atomic_load(&h->listener)) == NOT_LOADED)
		sched_yield();
	if (listener < 0)
		return NULL;
	r = send_state(h->agent, listener);
	if (r < 0) {
		err_set(&e, -r, "linux.seccomp.listenerPath: send the listener: %s", strerror(-r));
		(void)sync_send_error(h->tell, &e);
		_exit(1);
	}
	/* With a listener of its own the process would wait for ever when the agent is gone. */
	close(listener);
	close(h->agent->fd);
	atomic_store(&h->sent, true);
	return NULL;
}

static int start_sender(struct handover *h)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r == 0)
		r = pthread_attr_setstacksize(&attr, SENDER_STACK_BYTES);
	if (r == 0)
		r = pthread_create(&thread, &attr, send_listener, h);
	return -r;
}

int seccomp_load_and_notify(
	const struct seccomp_filter *f, struct seccomp_agent *a, int tell, struct err *e)
{
	/* Not on the stack: the thread may outlive this call. */
	static struct handover h;
	int r;

	h = (struct handover){.agent = a, .tell = tell, .listener = NOT_LOADED};
	r = start_sender(&h);
	if (r < 0)
		return err_set(
			e, -r, "linux.seccomp.listenerPath: make a thread: %s", strerror(-r));
	r = seccomp_load_filter(f, true);
	/* No system call from here on. */
	atomic_store(&h.listener, r);
	if (r < 0)
		return err_set(e, -r, "linux.seccomp: load the filter: %s", strerror(-r));
	while (!atomic_load(&h.sent))
		;
	return 0;
}
