/* sampan-image: images into bundles. */
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "runtime/image/limits.h"
#include "runtime/image/unpack.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char usage_text[] =
	"usage: sampan-image unpack [OPTIONS] IMAGE BUNDLE\n"
	"Unpack a container image into the OCI bundle BUNDLE (rootfs/ and config.json).\n"
	"IMAGE is an OCI layout directory, a tar file of one, or a `docker save` archive; a tar\n"
	"file may be compressed with gzip or zstd. Run as root, or under fakeroot.\n"
	"  --ref NAME:TAG       which image, when IMAGE holds several\n"
	"  --platform OS/ARCH   linux/amd64 or linux/arm64 (default: this machine's)\n"
	"  --network host       share the host's network (default)\n"
	"  --network private    a network namespace of its own\n"
	"  --name NAME          the container's name and hostname (default: BUNDLE's last part)\n"
	"  --allow-devices      unpack every device node, not only null, zero, full, random,\n"
	"                       urandom, tty, console and ptmx\n"
	"  --max-size SIZE      refuse to unpack more than SIZE bytes (K, M, G, T; default 32G)\n";

enum { OPT_REF = 256, OPT_PLATFORM, OPT_NETWORK, OPT_NAME, OPT_ALLOW_DEVICES, OPT_MAX_SIZE };

static const struct option long_options[] = {
	{"ref", required_argument, NULL, OPT_REF},
	{"platform", required_argument, NULL, OPT_PLATFORM},
	{"network", required_argument, NULL, OPT_NETWORK},
	{"name", required_argument, NULL, OPT_NAME},
	{"allow-devices", no_argument, NULL, OPT_ALLOW_DEVICES},
	{"max-size", required_argument, NULL, OPT_MAX_SIZE},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* Returns 0, or -1 for a value that makes no sense. */
static int take_option(int opt, const char *arg, struct unpack_options *o)
{
	switch (opt) {
	case OPT_REF:
		o->ref = arg;
		return 0;
	case OPT_PLATFORM:
		return platform_parse(arg, &o->platform);
	case OPT_NETWORK:
		o->private_network = strcmp(arg, "private") == 0;
		return o->private_network || strcmp(arg, "host") == 0 ? 0 : -1;
	case OPT_NAME:
		o->name = arg;
		return 0;
	case OPT_ALLOW_DEVICES:
		o->allow_devices = 1;
		return 0;
	case OPT_MAX_SIZE:
		return num_parse_size(arg, strlen(arg), &o->bytes_max);
	default:
		return -1;
	}
}

static int run_unpack(int argc, char **argv)
{
	struct unpack_options o = {
		.platform = platform_native(),
		.bytes_max = IMAGE_UNPACKED_BYTES_DEFAULT,
	};
	struct err e = {0};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage_text, stdout);
			return 0;
		}
		if (opt == '?')
			return 2;
		if (take_option(opt, optarg, &o) < 0) {
			log_error("\"%s\" is no value of that option; try --help", optarg);
			return 2;
		}
	}
	if (argc - optind != 2) {
		fputs(usage_text, stderr);
		return 2;
	}
	o.image = argv[optind];
	o.bundle = argv[optind + 1];
	umask(0);
	if (image_unpack(&o, &e) < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	log_open("sampan-image", 2, 0);
	if (argc >= 2 && strcmp(argv[1], "unpack") == 0)
		return run_unpack(argc - 1, argv + 1);
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage_text, stdout);
		return 0;
	}
	fputs(usage_text, stderr);
	return 2;
}
