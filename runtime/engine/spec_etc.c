/* The files of a container's own in /etc: hosts, hostname, resolv.conf. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/engine/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int write_file(struct spec *s, const char *name, const char *text, struct err *e)
{
	char path[4096];
	AUTO_CLOSE int fd = -1;
	int r;

	container_path(s->en, s->c, name, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
	return r < 0 ? err_set(e, -r, "write %s: %s", path, strerror(-r)) : 0;
}

static int hosts_text(struct spec *s, struct buf *b)
{
	bool host_net = strcmp(spec_str(s->host, "NetworkMode"), "host") == 0;
	yyjson_val *item;
	size_t i, n;
	int r = buf_add_str(b, "127.0.0.1\tlocalhost\n"
			       "::1\tlocalhost ip6-localhost ip6-loopback\n"
			       "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n"
			       "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");

	yyjson_arr_foreach (yyjson_obj_get(s->host, "ExtraHosts"), i, n, item) {
		const char *word = yyjson_get_str(item);
		size_t name = strcspn(word, ":=");

		if (r == 0 && word[name])
			r = buf_printf(b, "%s\t%.*s\n", word + name + 1, (int)name, word);
	}
	if (r == 0 && !host_net)
		r = buf_printf(b, "127.0.0.1\t%s\n", spec_str(s->config, "Hostname"));
	return r;
}

/* resolv.conf: what was given, the rest as the host has it. */
static int resolv_text(struct spec *s, struct buf *b)
{
	static const struct {
		const char *field, *word;
	} lists[] = {{"DnsSearch", "search"}, {"DnsOptions", "options"}};
	yyjson_val *servers = yyjson_obj_get(s->host, "Dns");
	yyjson_val *item;
	size_t i, n;
	int r = 0;

	if (yyjson_arr_size(servers) == 0) {
		char text[8192];
		ssize_t len = io_read_file_at(AT_FDCWD, "/etc/resolv.conf", text, sizeof(text));

		if (len > 0)
			r = buf_add(b, text, (size_t)len);
	}
	yyjson_arr_foreach (servers, i, n, item)
		if (r == 0)
			r = buf_printf(b, "nameserver %s\n", yyjson_get_str(item));
	for (size_t k = 0; r == 0 && k < 2; k++) {
		yyjson_val *list = yyjson_obj_get(s->host, lists[k].field);

		if (yyjson_arr_size(list) == 0)
			continue;
		r = buf_add_str(b, lists[k].word);
		yyjson_arr_foreach (list, i, n, item)
			if (r == 0)
				r = buf_printf(b, " %s", yyjson_get_str(item));
		if (r == 0)
			r = buf_add_str(b, "\n");
	}
	return r;
}

static int hostname_text(struct spec *s, struct buf *b)
{
	return buf_printf(b, "%s\n", spec_str(s->config, "Hostname"));
}

int spec_etc_files(struct spec *s, yyjson_mut_val *out, struct err *e)
{
	static const char *const options[] = {"rbind", "rprivate", NULL};
	static const struct {
		const char *name;
		int (*text)(struct spec *s, struct buf *b);
	} files[] = {
		{"resolv.conf", resolv_text}, {"hostname", hostname_text}, {"hosts", hosts_text}};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		AUTO_BUF struct buf text = {0};
		char destination[64];
		char path[4096];
		int r = buf_add_str(&text, "");

		if (r == 0)
			r = files[i].text(s, &text);
		if (r < 0)
			return err_set(e, -r, "out of memory");
		r = write_file(s, files[i].name, text.v, e);
		if (r < 0)
			return r;
		container_path(s->en, s->c, files[i].name, path, sizeof(path));
		(void)snprintf(destination, sizeof(destination), "/etc/%s", files[i].name);
		if (!spec_is_taken(s, destination))
			(void)spec_add_mount(s, out, "bind", path, destination, options);
	}
	return 0;
}
