/* The list of images. */
#include "lib/util/duration.h"
#include "runtime/cli/command.h"
#include "runtime/cli/format.h"
#include "runtime/cli/template.h"

#include <string.h>
#include <time.h>

struct images {
	bool all, quiet, no_trunc, digests;
	const char *format;
	struct filters filters;
};

static const struct option images_options[] = {
	OPT('a', "all", NULL, images, all, option_bool, "also what only other images are made of"),
	OPT(0, "digests", NULL, images, digests, option_bool, "their digests in a registry"),
	OPT('f', "filter", "KEY=VALUE", images, filters, option_filter, "only those that fit"),
	OPT(0, "format", "FORMAT", images, format, option_text, "table, json, or a template"),
	OPT(0, "no-trunc", NULL, images, no_trunc, option_bool, "do not shorten"),
	OPT('q', "quiet", NULL, images, quiet, option_bool, "only ids"),
};

static const struct column images_columns[] = {
	{"Containers", "CONTAINERS"},
	{"CreatedAt", "CREATED AT"},
	{"CreatedSince", "CREATED"},
	{"Digest", "DIGEST"},
	{"ID", "IMAGE ID"},
	{"Repository", "REPOSITORY"},
	{"SharedSize", "SHARED SIZE"},
	{"Size", "SIZE"},
	{"Tag", "TAG"},
	{"UniqueSize", "UNIQUE SIZE"},
	{"VirtualSize", "VIRTUAL SIZE"},
};

#define IMAGES_TABLE "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
#define DIGESTS_TABLE                                                                              \
	"{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"

struct lister {
	yyjson_mut_doc *doc;
	yyjson_mut_val *rows;
	bool trunc;
};

static void add_text(struct lister *l, yyjson_mut_val *row, const char *key, const char *text)
{
	(void)yyjson_mut_obj_add_strcpy(l->doc, row, key, text);
}

static void add_row(struct lister *l, yyjson_val *image, const char *repository, size_t len,
	const char *tag, const char *digest)
{
	yyjson_mut_val *row = yyjson_mut_obj(l->doc);
	int64_t created = field_int(image, "Created"), size = field_int(image, "Size");
	const char *id = field_text(image, "Id");
	char text[80];

	(void)yyjson_mut_obj_add_str(l->doc, row, "Containers", "N/A");
	format_time(created, text, sizeof(text));
	add_text(l, row, "CreatedAt", text);
	duration_in_words(time(NULL) - created, text, sizeof(text) - 4);
	strcat(text, " ago");
	add_text(l, row, "CreatedSince", created > 0 ? text : "N/A");
	add_text(l, row, "Digest", digest);
	if (l->trunc && strncmp(id, "sha256:", 7) == 0)
		(void)yyjson_mut_obj_add_strncpy(l->doc, row, "ID", id + 7, 12);
	else
		add_text(l, row, "ID", id);
	(void)yyjson_mut_obj_add_strncpy(l->doc, row, "Repository", repository, len);
	(void)yyjson_mut_obj_add_str(l->doc, row, "SharedSize", "N/A");
	format_size((double)size, 3, text, sizeof(text));
	add_text(l, row, "Size", text);
	add_text(l, row, "Tag", tag);
	(void)yyjson_mut_obj_add_str(l->doc, row, "UniqueSize", "N/A");
	format_size((double)size, 4, text, sizeof(text));
	add_text(l, row, "VirtualSize", text);
	(void)yyjson_mut_arr_append(l->rows, row);
}

/* The digest that "REPOSITORY@DIGEST" of @image has for the repository of @len bytes. */
static const char *digest_for(yyjson_val *image, const char *repository, size_t len)
{
	yyjson_val *digests = yyjson_obj_get(image, "RepoDigests"), *one;
	size_t i, n;

	if (digests)
		yyjson_arr_foreach (digests, i, n, one) {
			const char *text = yyjson_get_str(one);

			if (text && strncmp(text, repository, len) == 0 && text[len] == '@')
				return text + len + 1;
		}
	return "<none>";
}

/* An image has a row for each of its names. */
static void add_image(struct lister *l, yyjson_val *image)
{
	yyjson_val *tags = yyjson_obj_get(image, "RepoTags"), *one;
	size_t i, n;

	if (yyjson_arr_size(tags) == 0) {
		const char *digest =
			yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(image, "RepoDigests")));
		const char *at = digest ? strchr(digest, '@') : NULL;

		add_row(l, image, at ? digest : "<none>", at ? (size_t)(at - digest) : 6, "<none>",
			at ? at + 1 : "<none>");
		return;
	}
	yyjson_arr_foreach (tags, i, n, one) {
		const char *name = yyjson_get_str(one);
		const char *colon = name ? strrchr(name, ':') : NULL;

		if (colon)
			add_row(l, image, name, (size_t)(colon - name), colon + 1,
				digest_for(image, name, (size_t)(colon - name)));
	}
}

static int images_run(void *options, int argc, char **argv)
{
	struct images *o = options;
	const struct list_kind kind = {
		images_columns, N_OF(images_columns), o->digests ? DIGESTS_TABLE : IMAGES_TABLE};
	struct err e = {0};
	AUTO_BUF struct buf url = {0};
	AUTO_DOC yyjson_doc *list = NULL;
	AUTO_MUT_DOC yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	struct lister l = {doc, yyjson_mut_arr(doc), !o->no_trunc};
	const struct option by_name = {
		.name = "filter", .offset = offsetof(struct images, filters)};
	AUTO_BUF struct buf reference = {0};
	yyjson_val *one;
	size_t i, n;
	int r = buf_add_str(&url, "/images/json");

	if (r == 0 && o->all)
		r = url_param(&url, "all", "1");
	if (r == 0 && argc > 1)
		r = buf_printf(&reference, "reference=%s", argv[1]);
	if (r == 0 && argc > 1)
		r = option_filter(o, &by_name, reference.v, &e);
	if (r == 0)
		r = filters_param(&url, &o->filters);
	if (r == 0)
		list = engine_get(url.v, &e);
	if (!list)
		return command_fail(&e);
	yyjson_arr_foreach (yyjson_doc_get_root(list), i, n, one)
		add_image(&l, one);
	return list_print(&kind, l.rows, o->quiet && !o->format ? "{{.ID}}" : o->format, &e) < 0
		       ? command_fail(&e)
		       : 0;
}

const struct command cmd_images = {"images", "[NAME[:TAG]]", "list images", OPTIONS(images_options),
	sizeof(struct images), 0, 1, images_run, NULL};
