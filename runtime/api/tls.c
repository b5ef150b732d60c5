#include "runtime/api/tls.h"

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "runtime/api/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

struct tls_server {
	mbedtls_x509_crt authority, own;
	mbedtls_pk_context key;
	mbedtls_ssl_config config;
};

/* Bytes on their way in one direction. */
struct pipe {
	unsigned char v[API_IO_BYTES];
	size_t from, to; /* those that wait are v[from] to v[to - 1] */
	bool ended;	 /* nothing more comes */
	bool told;	 /* the receiver knows */
};

struct relay {
	mbedtls_ssl_context ssl;
	int tcp; /* the client */
	int api; /* our end of the socket that the server reads */
	char peer[INET6_ADDRSTRLEN];
	struct pipe in;	  /* from the client */
	struct pipe out;  /* to it */
	bool wants_write; /* TLS waits for room in the TCP connection */
};

/* mbedtls asks for randomness from several threads: the kernel's needs no lock. */
static int random_bytes(void *arg, unsigned char *to, size_t len)
{
	(void)arg;
	while (len) {
		ssize_t n = getrandom(to, len, 0);

		if (n < 0 && errno != EINTR)
			return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
		if (n > 0) {
			to += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int read_key(mbedtls_pk_context *key, const char *path)
{
#if MBEDTLS_VERSION_MAJOR >= 3
	return mbedtls_pk_parse_keyfile(key, path, NULL, random_bytes, NULL);
#else
	return mbedtls_pk_parse_keyfile(key, path, NULL);
#endif
}

static int pair_matches(struct tls_server *s)
{
#if MBEDTLS_VERSION_MAJOR >= 3
	return mbedtls_pk_check_pair(&s->own.pk, &s->key, random_bytes, NULL);
#else
	return mbedtls_pk_check_pair(&s->own.pk, &s->key);
#endif
}

static int refuse(const char *path, int code, struct err *e)
{
	char text[128];

	mbedtls_strerror(code, text, sizeof(text));
	return err_set(e, EINVAL, "%s: %s", path, text);
}

static int read_files(struct tls_server *s, const char *dir, struct err *e)
{
	char path[4096];
	int code;

	(void)snprintf(path, sizeof(path), "%s/ca.pem", dir);
	code = mbedtls_x509_crt_parse_file(&s->authority, path);
	if (code)
		return refuse(path, code, e);
	(void)snprintf(path, sizeof(path), "%s/cert.pem", dir);
	code = mbedtls_x509_crt_parse_file(&s->own, path);
	if (code)
		return refuse(path, code, e);
	(void)snprintf(path, sizeof(path), "%s/key.pem", dir);
	code = read_key(&s->key, path);
	if (code == 0 && pair_matches(s) != 0)
		return err_set(e, EINVAL, "%s: is not the key of cert.pem", path);
	return code ? refuse(path, code, e) : 0;
}

static int configure(struct tls_server *s)
{
	int code = mbedtls_ssl_config_defaults(&s->config, MBEDTLS_SSL_IS_SERVER,
		MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (code == 0)
		code = mbedtls_ssl_conf_own_cert(&s->config, &s->own, &s->key);
	if (code)
		return code;
	mbedtls_ssl_conf_min_version(
		&s->config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_rng(&s->config, random_bytes, NULL);
	mbedtls_ssl_conf_authmode(&s->config, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(&s->config, &s->authority, NULL);
	return 0;
}

int tls_open(const char *dir, struct tls_server **ret, struct err *e)
{
	struct tls_server *s;
	int code = 0;
	int r;

	*ret = NULL;
	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, ENOMEM, "out of memory");
	mbedtls_x509_crt_init(&s->authority);
	mbedtls_x509_crt_init(&s->own);
	mbedtls_pk_init(&s->key);
	mbedtls_ssl_config_init(&s->config);
#if MBEDTLS_VERSION_MAJOR >= 3
	if (psa_crypto_init() != PSA_SUCCESS)
		code = MBEDTLS_ERR_SSL_INTERNAL_ERROR;
#endif
	r = code ? 0 : read_files(s, dir, e);
	if (r == 0 && code == 0)
		code = configure(s);
	if (code)
		r = refuse(dir, code, e);
	if (r < 0) {
		mbedtls_ssl_config_free(&s->config);
		mbedtls_pk_free(&s->key);
		mbedtls_x509_crt_free(&s->own);
		mbedtls_x509_crt_free(&s->authority);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int tls_listen(unsigned port, struct err *e)
{
	const struct sockaddr_in6 six = {.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = in6addr_any};
	const struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	AUTO_CLOSE int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has_six = fd >= 0;
	int yes = 1, no = 0;

	if (!has_six)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
		/* IPv4 too */
		(has_six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0) ||
		bind(fd, has_six ? (const struct sockaddr *)&six : (const struct sockaddr *)&four,
			has_six ? sizeof(six) : sizeof(four)) < 0 ||
		listen(fd, 128) < 0)
		return err_set(e, errno, "listen on TCP port %u: %s", port, strerror(errno));
	return TAKE_FD(fd);
}

static int send_tcp(void *arg, const unsigned char *bytes, size_t len)
{
	struct relay *rl = arg;
	ssize_t n = send(rl->tcp, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE
						 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int receive_tcp(void *arg, unsigned char *bytes, size_t len)
{
	struct relay *rl = arg;
	ssize_t n = recv(rl->tcp, bytes, len, MSG_DONTWAIT);

	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ
						 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static bool must_wait(int code)
{
	return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static bool shake_hands(struct relay *rl)
{
	uint64_t deadline = time_now_ms() + API_IO_TIMEOUT_MS;
	char why[128];
	int code;

	while (must_wait(code = mbedtls_ssl_handshake(&rl->ssl))) {
		struct pollfd p = {.fd = rl->tcp,
			.events = code == MBEDTLS_ERR_SSL_WANT_WRITE ? POLLOUT : POLLIN};
		uint64_t now = time_now_ms();

		if (now >= deadline || poll(&p, 1, (int)(deadline - now)) == 0)
			return false;
	}
	if (code == 0)
		return true;
	mbedtls_strerror(code, why, sizeof(why));
	log_info("TLS: %s refused: %s", rl->peer, why);
	return false;
}

/* Move what the client sends. Returns 1 when something moved, 0 when not, -1 when it is gone. */
static int move_in(struct relay *rl)
{
	struct pipe *p = &rl->in;

	if (p->from == p->to && !p->ended) {
		int n = mbedtls_ssl_read(&rl->ssl, p->v, sizeof(p->v));

		if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
			p->ended = true;
			return 1;
		}
		if (must_wait(n))
			return 0;
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
		if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
			return 1;
#endif
		/* an end without a farewell is a client that was killed */
		if (n <= 0)
			return -1;
		p->from = 0;
		p->to = (size_t)n;
		return 1;
	}
	if (p->from < p->to) {
		ssize_t n =
			send(rl->api, p->v + p->from, p->to - p->from, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		p->from += (size_t)n;
		return 1;
	}
	if (!p->told) {
		p->told = true;
		(void)shutdown(rl->api, SHUT_WR);
		return 1;
	}
	return 0;
}

/* Move what the server answers. Returns as move_in; -1 also after the farewell. */
static int move_out(struct relay *rl)
{
	struct pipe *p = &rl->out;
	int n;

	if (p->from == p->to && !p->ended) {
		ssize_t got = recv(rl->api, p->v, sizeof(p->v), MSG_DONTWAIT);

		if (got < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		p->ended = got == 0;
		p->from = 0;
		p->to = (size_t)got;
		return 1;
	}
	/* a call that has to wait is repeated with the same bytes */
	n = p->from < p->to ? mbedtls_ssl_write(&rl->ssl, p->v + p->from, p->to - p->from)
			    : mbedtls_ssl_close_notify(&rl->ssl);
	rl->wants_write = must_wait(n);
	if (rl->wants_write)
		return 0;
	if (n < 0 || p->from == p->to)
		return -1;
	p->from += (size_t)n;
	return 1;
}

static void wait_for_either(const struct relay *rl)
{
	bool room_in = rl->in.from == rl->in.to && !rl->in.ended;
	bool room_out = rl->out.from == rl->out.to && !rl->out.ended;
	struct pollfd fds[2] = {
		{.fd = rl->tcp,
			.events = (short)(POLLRDHUP | (room_in ? POLLIN : 0) |
					  (rl->wants_write ? POLLOUT : 0))},
		{.fd = rl->api,
			.events = (short)((room_out ? POLLIN : 0) |
					  (rl->in.from < rl->in.to ? POLLOUT : 0))},
	};

	(void)poll(fds, 2, -1);
}

/* Whether the client has closed its connection, and not only said that it sends nothing more. */
static bool is_gone(const struct relay *rl)
{
	struct pollfd p = {.fd = rl->tcp, .events = POLLRDHUP};

	return rl->in.ended && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void *carry(void *arg)
{
	struct relay *rl = arg;

	if (shake_hands(rl))
		for (;;) {
			int in = move_in(rl);
			int out = in < 0 ? in : move_out(rl);

			if (in < 0 || out < 0 || is_gone(rl))
				break;
			if (in == 0 && out == 0)
				wait_for_either(rl);
		}
	mbedtls_ssl_free(&rl->ssl);
	close(rl->tcp);
	close(rl->api);
	free(rl);
	return NULL;
}

static void name_peer(struct relay *rl)
{
	struct sockaddr_in6 address = {0};
	socklen_t len = sizeof(address);
	const void *from = &address.sin6_addr;

	(void)snprintf(rl->peer, sizeof(rl->peer), "?");
	if (getpeername(rl->tcp, (struct sockaddr *)&address, &len) < 0)
		return;
	if (address.sin6_family == AF_INET)
		from = &((const struct sockaddr_in *)(const void *)&address)->sin_addr;
	(void)inet_ntop(address.sin6_family, from, rl->peer, sizeof(rl->peer));
}

/* Dead peers are noticed, small answers not held back. */
static void set_up_tcp(int fd)
{
	int yes = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

int tls_accept(struct tls_server *server, int fd)
{
	AUTO_CLOSE int tcp = fd;
	AUTO_CLOSE int ours = -1;
	AUTO_CLOSE int theirs = -1;
	struct relay *rl;
	pthread_attr_t attr;
	pthread_t thread;
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	rl = calloc(1, sizeof(*rl));
	if (!rl)
		return -ENOMEM;
	set_up_tcp(tcp);
	rl->tcp = tcp;
	rl->api = ours;
	name_peer(rl);
	mbedtls_ssl_init(&rl->ssl);
	r = mbedtls_ssl_setup(&rl->ssl, &server->config) == 0 ? 0 : ENOMEM;
	if (r == 0) {
		mbedtls_ssl_set_bio(&rl->ssl, rl, send_tcp, receive_tcp, NULL);
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, API_STACK_BYTES);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		r = pthread_create(&thread, &attr, carry, rl);
		pthread_attr_destroy(&attr);
	}
	if (r) {
		mbedtls_ssl_free(&rl->ssl);
		free(rl);
		return -r;
	}
	(void)TAKE_FD(tcp);
	(void)TAKE_FD(ours);
	return TAKE_FD(theirs);
}
