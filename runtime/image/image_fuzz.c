/* Everything here that parses what an image holds: the first byte says as what the rest is read. */
#include "runtime/image/imageconfig.h"
#include "runtime/image/layerpath.h"
#include "runtime/image/limits.h"
#include "runtime/image/manifest.h"
#include "runtime/image/seccomp_profile.h"
#include "runtime/image/spec.h"
#include "runtime/image/tarindex.h"
#include "runtime/image/users.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_config(const struct document *doc)
{
	const struct spec_options options = {.hostname = "fuzz", .private_network = 1};
	struct user user = {.n_groups = 1};
	struct image_config c;
	struct err e;
	char *json;
	size_t len;

	if (image_config_read(doc, &c, &e) == 0 &&
		spec_make(&c, &user, &options, &json, &len, &e) == 0)
		free(json);
}

static void fuzz_document(int kind, const char *text, size_t size)
{
	struct saved_image *images;
	struct manifest manifest;
	struct document doc;
	struct index index;
	struct err e;
	size_t n;

	if (document_parse_copy(&doc, text, size, "fuzz", &e) < 0)
		return;
	if (kind == 'i')
		index_read(&doc, &index, &e);
	else if (kind == 'm')
		manifest_read(&doc, &manifest, &e);
	else if (kind == 's')
		saved_images_read(&doc, &images, &n, &e);
	else
		fuzz_config(&doc);
	document_free(&doc);
}

/* "USER\nPASSWD\0GROUP" */
static void fuzz_users(const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);
	const char *nul = end ? memchr(end, '\0', size - (size_t)(end - text)) : NULL;
	char spec[64] = "";
	struct user user;
	struct err e;

	if (!nul || (size_t)(end - text) >= sizeof(spec))
		return;
	memcpy(spec, text, (size_t)(end - text));
	users_lookup(spec, (struct accounts_file){end + 1, (size_t)(nul - end - 1)},
		(struct accounts_file){nul + 1, size - (size_t)(nul + 1 - text)}, &user, &e);
}

static void fuzz_tar(const char *text, size_t size)
{
	struct tar_index index;
	struct err e;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		abort();
	if (tar_index_read(fd, size, &index, &e) == 0) {
		tar_index_find(&index, "manifest.json");
		for (size_t i = 0; i < index.n_members; i++)
			tar_index_find(&index, index.members[i].name);
		tar_index_free(&index);
	}
	close(fd);
}

static void fuzz_path(const char *text, size_t size)
{
	char *copy = strndup(text, size);
	const char *hidden;
	char out[256];

	if (layer_path_clean(copy, out, sizeof(out)) == 0) {
		/* what comes out is clean: cleaning it again changes nothing */
		char again[256];

		if (layer_path_clean(out, again, sizeof(again)) != 0 || strcmp(out, again) != 0)
			abort();
		layer_name_classify(out, &hidden);
	}
	free(copy);
}

static void fuzz_seccomp(const char *text, size_t size)
{
	static const char *const caps[] = {"CAP_CHOWN"};
	const struct seccomp_target target = {"amd64", caps, 1, 6, 12};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	struct err e;

	seccomp_profile_resolve(text, size, &target, doc, &e);
	yyjson_mut_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0 || size > 65536)
		return 0;
	switch (data[0]) {
	case 'i':
	case 'm':
	case 's':
	case 'c':
		fuzz_document(data[0], text, size - 1);
		break;
	case 'u':
		fuzz_users(text, size - 1);
		break;
	case 't':
		fuzz_tar(text, size - 1);
		break;
	case 'p':
		fuzz_path(text, size - 1);
		break;
	case 'b':
		fuzz_seccomp(text, size - 1);
		break;
	default:
		break;
	}
	return 0;
}
