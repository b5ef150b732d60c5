/* The limits of a cgroup as they were, for an update that fails half-way. */
#include "runtime/oci/cgroup.h"

#include "lib/base/io.h"
#include "runtime/oci/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Files with a line per device, and what takes a device's line away.
 * Source: kernel admin-guide/cgroup-v2.rst "Interface Files", "nested keyed".
 */
static const struct keyed_file {
	const char *name;
	const char *none;
} keyed_files[] = {
	{"io.bfq.weight", "default"},
	{"io.latency", "target=0"},
	{"io.max", "rbps=max wbps=max riops=max wiops=max"},
	{"io.weight", "default"},
	{"misc.max", "max"},
	{"rdma.max", "hca_handle=max hca_object=max"},
};

static const struct keyed_file *find_keyed(const char *file)
{
	for (size_t i = 0; i < sizeof(keyed_files) / sizeof(keyed_files[0]); i++) {
		if (strcmp(keyed_files[i].name, file) == 0)
			return &keyed_files[i];
	}
	return NULL;
}

/* The line of @content that begins with the word @key, cut out; else NULL. */
static char *find_line(char *content, const char *key, size_t key_len)
{
	for (char *line = content; *line;) {
		size_t len = strcspn(line, "\n");
		char *next = line + len + (line[len] == '\n');

		if (len > key_len && strncmp(line, key, key_len) == 0 && line[key_len] == ' ') {
			line[len] = '\0';
			return line;
		}
		line = next;
	}
	return NULL;
}

static char *old_text(const char *file, char *content, const char *text)
{
	const struct keyed_file *keyed = find_keyed(file);
	size_t key_len = strcspn(text, " ");
	const char *line = keyed ? find_line(content, text, key_len) : content;
	char *made = NULL;

	if (line)
		return strdup(line);
	return asprintf(&made, "%.*s %s", (int)key_len, text, keyed->none) < 0 ? NULL : made;
}

/* A cpuset that had no list of its own cannot lose one again while there are processes in it
 * (ENOSPC): it keeps what was in effect. */
static ssize_t read_old(int cgroupfd, const char *file, char *buf, size_t size)
{
	char effective[64];
	ssize_t n = io_read_file_at(cgroupfd, file, buf, size);

	if (n < 0 || buf[0] != '\n' || strncmp(file, "cpuset.", 7) != 0)
		return n;
	snprintf(effective, sizeof(effective), "%.40s.effective", file);
	return io_read_file_at(cgroupfd, effective, buf, size);
}

int cgroup_undo_note(struct cgroup_undo *undo, int cgroupfd, const char *file, const char *text)
{
	char content[OCI_CGROUP_FILE_BYTES_MAX];
	struct cgroup_undo_line *v;
	ssize_t n;

	if (!undo)
		return 0;
	n = read_old(cgroupfd, file, content, sizeof(content));
	if (n < 0)
		return n == -ENOENT ? 0 : (int)n;
	v = reallocarray(undo->v, undo->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	undo->v = v;
	v[undo->n] = (struct cgroup_undo_line){strdup(file), old_text(file, content, text)};
	undo->n++;
	return v[undo->n - 1].file && v[undo->n - 1].text ? 0 : -ENOMEM;
}

void cgroup_undo_all(const struct cgroup_undo *undo, int cgroupfd)
{
	for (size_t i = undo->n; i > 0; i--) {
		const struct cgroup_undo_line *l = &undo->v[i - 1];

		if (l->file && l->text)
			(void)io_write_file_at(cgroupfd, l->file, l->text);
	}
}

void cgroup_undo_free(struct cgroup_undo *undo)
{
	for (size_t i = 0; i < undo->n; i++) {
		free(undo->v[i].file);
		free(undo->v[i].text);
	}
	free(undo->v);
	*undo = (struct cgroup_undo){0};
}
