/* sampand: the engine behind its socket. */
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "runtime/api/http.h"
#include "runtime/api/declared.h"
#include "runtime/api/server.h"
#include "runtime/api/tls.h"
#include "runtime/engine/engine.h"
#include "runtime/image/unpacker.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

static const char help[] =
	"sampand serves the Docker Engine API.\n"
	"\n"
	"  --socket FILE   unix socket to listen on (default /run/docker.sock)\n"
	"  --root DIR      images, containers, records (default /var/lib/sampan)\n"
	"  --run DIR       what need not outlive a boot (default /run/sampan)\n"
	"  --oci FILE      the OCI runtime (default /usr/bin/sampan-oci)\n"
	"  --init FILE     init's socket (default /run/init.sock)\n"
	"  --docker-init FILE  what `docker run --init` puts in front of the program\n"
	"                  (default /usr/bin/docker-init)\n"
	"  --certs DIR     certificates for registries, HOST[:PORT]/ca.crt, client.cert and\n"
	"                  client.key below it; may be repeated (default certs.d below the root\n"
	"                  and /etc/docker/certs.d)\n"
	"  --registry-mirror URL        ask this first for images of docker.io; may be repeated\n"
	"  --insecure-registry HOST[:PORT]\n"
	"                  whose certificate is not checked, or that has none; may be repeated;\n"
	"                  so is loopback, unless it has certificates below DIR\n"
	"  --registry-timeout SECONDS   give a silent registry up (default 30)\n"
	"  --tls DIR       with ca.pem, cert.pem and key.pem: serve clients that have a "
	"certificate of\n"
	"                  that authority over TCP too (default tls below --root, if it is there)\n"
	"  --tls-port PORT (default 2376)\n"
	"  --help          this text\n"
	"\n"
	"init starts it. A line to the descriptor in $NOTIFY_FD says that it is ready.\n";

/* mirrors, and registries that are insecure */
#define REGISTRIES_MAX 32

struct options {
	const char *socket;
	struct engine_paths paths;
	struct registry_settings registries;
	const char *mirrors[REGISTRIES_MAX];
	const char *insecure[REGISTRIES_MAX];
	char certs[4096];
	const char *tls_dir;
	unsigned tls_port;
	char tls[4096];
};

/* One more of a list. Returns 0 or -EINVAL. */
static int add_to(const char **list, size_t *n, const char *word)
{
	if (*n == REGISTRIES_MAX) {
		log_error("more than %d registries; see --help", REGISTRIES_MAX);
		return -EINVAL;
	}
	list[(*n)++] = word;
	return 0;
}

/* An option that is about registries. Returns 0 or -EINVAL. */
static int parse_registry(struct options *o, int c, const char *word)
{
	struct registry_settings *r = &o->registries;
	uint64_t seconds;

	switch (c) {
	case 'c':
		for (size_t i = 0; i < REGISTRY_CERTS_DIRS_MAX; i++) {
			if (!r->certs_dirs[i]) {
				r->certs_dirs[i] = word;
				return 0;
			}
		}
		log_error("--certs: more than %d directories", REGISTRY_CERTS_DIRS_MAX);
		return -EINVAL;
	case 'm':
		if (!endpoint_is_mirror(word)) {
			log_error(
				"--registry-mirror: \"%s\" is no http or https URL of a host alone",
				word);
			return -EINVAL;
		}
		return add_to(o->mirrors, &r->n_mirrors, word);
	case 'n':
		return add_to(o->insecure, &r->n_insecure, word);
	case 't':
		if (num_parse_u64(word, strlen(word), 3600, &seconds) == 0 && seconds > 0) {
			r->stall_s = (unsigned)seconds;
			return 0;
		}
		log_error("--registry-timeout: \"%s\" is no number from 1 to 3600", word);
		return -EINVAL;
	default:
		return -EINVAL;
	}
}

static int parse_port(struct options *o, const char *word)
{
	uint64_t port;

	if (num_parse_u64(word, strlen(word), 65535, &port) < 0 || port == 0) {
		log_error("--tls-port: \"%s\" is no number from 1 to 65535", word);
		return -EINVAL;
	}
	o->tls_port = (unsigned)port;
	return 0;
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option words[] = {
		{"socket", required_argument, NULL, 's'},
		{"root", required_argument, NULL, 'r'},
		{"run", required_argument, NULL, 'u'},
		{"oci", required_argument, NULL, 'o'},
		{"init", required_argument, NULL, 'i'},
		{"docker-init", required_argument, NULL, 'd'},
		{"certs", required_argument, NULL, 'c'},
		{"registry-mirror", required_argument, NULL, 'm'},
		{"insecure-registry", required_argument, NULL, 'n'},
		{"registry-timeout", required_argument, NULL, 't'},
		{"tls", required_argument, NULL, 'l'},
		{"tls-port", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const struct {
		char letter;
		const char **value;
	} texts[] = {
		{'s', &o->socket},
		{'r', &o->paths.root},
		{'u', &o->paths.run},
		{'o', &o->paths.oci},
		{'i', &o->paths.init},
		{'d', &o->paths.docker_init},
		{'l', &o->tls_dir},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", words, NULL)) != -1) {
		size_t i = 0;

		while (i < sizeof(texts) / sizeof(texts[0]) && c != texts[i].letter)
			i++;
		if (i < sizeof(texts) / sizeof(texts[0])) {
			*texts[i].value = optarg;
		} else if (c == 'h') {
			(void)fputs(help, stdout);
			exit(0);
		} else if ((c == 'p' ? parse_port(o, optarg) : parse_registry(o, c, optarg)) < 0) {
			return -EINVAL;
		}
	}
	if (!o->registries.certs_dirs[0]) {
		(void)snprintf(o->certs, sizeof(o->certs), "%s/certs.d", o->paths.root);
		o->registries.certs_dirs[0] = o->certs;
		o->registries.certs_dirs[1] = "/etc/docker/certs.d";
	}
	if (!o->tls_dir) {
		(void)snprintf(o->tls, sizeof(o->tls), "%s/tls", o->paths.root);
		o->tls_dir = o->tls;
	}
	o->registries.mirrors = o->mirrors;
	o->registries.insecure = o->insecure;
	if (argv[optind]) {
		log_error("unexpected word \"%s\"; see --help", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static void on_exit_told(void *arg, const struct init_exit *x)
{
	container_ended(arg, x);
}

/* Without init nobody would learn how a container ended: start anew. */
static void *listen_to_init(void *arg)
{
	const struct engine *engine = arg;
	struct err e = {0};

	(void)initlink_exits(&engine->init, on_exit_told, arg, &e);
	log_error("%s", e.msg);
	exit(1);
}

static void tell_ready(void)
{
	const char *number = getenv("NOTIFY_FD");
	int fd = number ? atoi(number) : -1;

	if (fd > 2) {
		(void)!write(fd, "\n", 1);
		close(fd);
	}
	unsetenv("NOTIFY_FD");
}

/* Whether what ended us says that the machine ends too. */
static bool goes_down(int stop)
{
	struct signalfd_siginfo si = {0};

	return read(stop, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGPWR;
}

/* Add the TLS listener, if there is one. Keys that are no good must not keep the engine down. */
static size_t listen_tls(const struct options *o, struct server_listener *ret)
{
	struct err e = {0};

	if (tls_open(o->tls_dir, &ret->tls, &e) == 0) {
		if (!ret->tls)
			return 0;
		ret->fd = tls_listen(o->tls_port, &e);
		if (ret->fd >= 0) {
			log_info("ready on TCP port %u, by TLS", o->tls_port);
			return 1;
		}
	}
	log_error("not served over TCP: %s", e.msg);
	return 0;
}

static int run(const struct options *o, struct err *e)
{
	struct server_listener listeners[SERVER_LISTENERS_MAX] = {0};
	size_t n = 1;
	static struct engine engine;
	sigset_t ends;
	pthread_t thread;
	AUTO_CLOSE int listener = -1;
	AUTO_CLOSE int stop = -1;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGPWR);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	stop = signalfd(-1, &ends, SFD_CLOEXEC);
	http_common_headers = "Api-Version: 1.51\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
			      "Server: Sampan/0.1 (linux)\r\n";
	r = engine_open(&engine, &o->paths, &o->registries, e);
	if (r == 0)
		r = declared_load(&engine, e);
	if (r == 0)
		r = container_recover(&engine, e);
	if (r < 0)
		return r;
	/* After what runs was taken up: an end that is told now finds its container. */
	r = pthread_create(&thread, NULL, listen_to_init, &engine);
	if (r)
		return err_set(e, r, "start a thread: %s", strerror(r));
	listener = server_listen_unix(o->socket, 0660, e);
	if (listener < 0)
		return listener;
	listeners[0].fd = listener;
	n += listen_tls(o, &listeners[1]);
	tell_ready();
	log_info("ready on %s", o->socket);
	r = server_run(&engine, listeners, n, stop, e);
	if (r == 0 && goes_down(stop))
		engine_stop_all(&engine);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = {
		.socket = "/run/docker.sock",
		.paths = {"/var/lib/sampan", "/run/sampan", "/usr/bin/sampan-oci", "/run/init.sock",
			"/usr/bin/docker-init"},
		.registries = {.stall_s = 30},
		.tls_port = 2376,
	};
	struct err e = {0};

	if (argc > 1 && strcmp(argv[1], UNPACKER_ROLE) == 0)
		return unpacker_main(argc, argv);
	log_open("sampand", 2, 0);
	if (parse(argc, argv, &o) < 0)
		return 2;
	if (run(&o, &e) < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	return 0;
}
