#include "runtime/cli/pull.h"

#include "lib/base/fd.h"
#include "runtime/cli/command.h"
#include "runtime/cli/progress.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

/* bytes sent at once */
#define LOAD_BYTES 65536

static void progress_begin(struct progress *p, FILE *to, bool quiet)
{
	struct winsize size = {0};

	*p = (struct progress){.to = to, .quiet = quiet};
	p->terminal = isatty(fileno(to)) && ioctl(fileno(to), TIOCGWINSZ, &size) == 0;
	p->columns = size.ws_col;
}

/* Bytes of the name before ":TAG" or "@DIGEST". */
static size_t name_len(const char *image)
{
	const char *slash = strrchr(image, '/'), *at = strchr(image, '@');
	const char *colon = at ? NULL : strchr(slash ? slash : image, ':');

	return at ? (size_t)(at - image) : colon ? (size_t)(colon - image) : strlen(image);
}

void pull_name(const char *image, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", image, image[name_len(image)] ? "" : ":latest");
}

/* The whole name of what was pulled, with the registry that a short one leaves out. */
static void print_whole_name(const char *image, FILE *to)
{
	size_t first = strcspn(image, "/");
	bool registry = image[first] && (memchr(image, '.', first) || memchr(image, ':', first) ||
						strncmp(image, "localhost/", 10) == 0);
	char name[512];

	pull_name(image, name, sizeof(name));
	fprintf(to, "%s%s%s\n", registry ? "" : "docker.io/",
		registry || image[first] ? "" : "library/", name);
}

int pull_image(const struct pull *o, const char *image, struct err *e)
{
	AUTO_HTTP struct http h = HTTP_NONE;
	AUTO_BUF struct buf url = {0};
	struct progress progress;
	char name[512], tag[512];
	size_t len = name_len(image);
	int r = buf_add_str(&url, "/images/create");

	if (len >= sizeof(name) || strlen(image) >= sizeof(tag))
		return err_set(e, ENAMETOOLONG, "invalid reference format");
	memcpy(name, image, len);
	name[len] = '\0';
	snprintf(tag, sizeof(tag), "%s", image[len] ? image + len + 1 : "latest");
	if (r == 0)
		r = url_param(&url, "fromImage", name);
	if (r == 0 && !o->all)
		r = url_param(&url, "tag", tag);
	if (r == 0 && o->platform)
		r = url_param(&url, "platform", o->platform);
	if (r == 0)
		r = engine_open(&h, "POST", url.v, NULL, false, e);
	if (r < 0)
		return r;
	progress_begin(&progress, o->to, o->quiet);
	return progress_show(&progress, &h, e);
}

static const struct option pull_options[] = {
	OPT('a', "all-tags", NULL, pull, all, option_bool, "all tags of the name"),
	OPT(0, "platform", "OS/ARCH", pull, platform, option_text, "not the machine's own"),
	OPT('q', "quiet", NULL, pull, quiet, option_bool, "no progress"),
};

static int pull_run(void *options, int argc, char **argv)
{
	struct pull *o = options;
	struct err e = {0};

	(void)argc;
	o->to = stdout;
	if (!o->quiet && !o->all && !argv[1][name_len(argv[1])])
		puts("Using default tag: latest");
	(void)fflush(stdout);
	if (pull_image(o, argv[1], &e) < 0)
		return command_fail(&e);
	print_whole_name(argv[1], stdout);
	return 0;
}

struct load {
	const char *input;
	bool quiet;
};

static const struct option load_options[] = {
	OPT('i', "input", "FILE", load, input, option_text, "instead of standard input"),
	OPT('q', "quiet", NULL, load, quiet, option_bool, "no progress"),
};

static int send_file(struct http *h, int fd, struct err *e)
{
	static char bytes[LOAD_BYTES];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno != EINTR)
			return err_set(e, errno, "read the archive: %s", strerror(errno));
		if (n > 0)
			r = http_send_piece(h, bytes, (size_t)n, e);
	}
	return r < 0 ? r : http_send_piece(h, "", 0, e);
}

static int load_run(void *options, int argc, char **argv)
{
	const struct load *o = options;
	AUTO_HTTP struct http h = HTTP_NONE;
	AUTO_CLOSE int file = -1;
	struct progress progress;
	struct err e = {0};
	int r;

	(void)argc, (void)argv;
	file = o->input ? open(o->input, O_RDONLY | O_CLOEXEC) : -1;
	if (o->input && file < 0) {
		fprintf(stderr, "open %s: %s\n", o->input, strerror(errno));
		return EXIT_FAILED;
	}
	if (!o->input && isatty(0)) {
		fputs("requested load from stdin, but stdin is empty\n", stderr);
		return EXIT_FAILED;
	}
	progress_begin(&progress, stdout, false);
	r = http_send_stream(&h, "POST",
		progress.terminal && !o->quiet ? "/images/load?quiet=0" : "/images/load?quiet=1",
		"application/x-tar", &e);
	if (r == 0)
		r = send_file(&h, file >= 0 ? file : 0, &e);
	/* An engine that refused has said why before it closed. */
	if (r == 0 || e.code == EPIPE || e.code == ECONNRESET)
		r = http_head(&h, &e);
	if (r == 0)
		r = engine_check(&h, &e);
	if (r == 0)
		r = progress_show(&progress, &h, &e);
	return r < 0 ? command_fail(&e) : 0;
}

const struct command cmd_pull = {"pull", "IMAGE", "take an image from its registry",
	OPTIONS(pull_options), sizeof(struct pull), 1, 1, pull_run, NULL};
const struct command cmd_load = {"load", "", "take images from an archive", OPTIONS(load_options),
	sizeof(struct load), 0, 0, load_run, NULL};
