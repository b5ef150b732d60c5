#include "runtime/engine/instructions.h"

#include "lib/util/buf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One instruction being applied. */
struct job {
	yyjson_mut_doc *doc;
	yyjson_mut_val *config;
	const char *name; /* of the instruction */
	struct err *e;
};

static void set(const struct job *j, yyjson_mut_val *obj, const char *key, yyjson_mut_val *val)
{
	yyjson_mut_val *name = yyjson_mut_strcpy(j->doc, key);

	if (!yyjson_mut_obj_replace(obj, name, val))
		yyjson_mut_obj_add(obj, name, val);
}

/* The container of @key, made if it is none of that kind yet. */
static yyjson_mut_val *object_at(const struct job *j, const char *key)
{
	yyjson_mut_val *val = yyjson_mut_obj_get(j->config, key);

	if (!yyjson_mut_is_obj(val)) {
		/* What replaces null is a copy. */
		set(j, j->config, key, yyjson_mut_obj(j->doc));
		val = yyjson_mut_obj_get(j->config, key);
	}
	return val;
}

static yyjson_mut_val *array_at(const struct job *j, const char *key)
{
	yyjson_mut_val *val = yyjson_mut_obj_get(j->config, key);

	if (!yyjson_mut_is_arr(val)) {
		set(j, j->config, key, yyjson_mut_arr(j->doc));
		val = yyjson_mut_obj_get(j->config, key);
	}
	return val;
}

/* The value of a variable that the config sets, "" if it does not. */
static const char *variable(const struct job *j, const char *name, size_t len)
{
	yyjson_mut_val *item;
	size_t i, n;

	yyjson_mut_arr_foreach (yyjson_mut_obj_get(j->config, "Env"), i, n, item) {
		const char *env = yyjson_mut_get_str(item);

		if (env && strncmp(env, name, len) == 0 && env[len] == '=')
			return env + len + 1;
	}
	return "";
}

/* Put the value of the variable at *@p ("$NAME", "${NAME}") into @word, and go behind it. */
static int expand(const struct job *j, const char **p, struct buf *word)
{
	bool braced = (*p)[1] == '{';
	const char *name = *p + 1 + braced;
	size_t len = 0;

	while (isalnum((unsigned char)name[len]) || name[len] == '_')
		len++;
	if (len == 0 && !braced) {
		(*p)++;
		return buf_add(word, "$", 1);
	}
	if (braced && (name[len] != '}' || len == 0))
		return -EINVAL;
	*p = name + len + braced;
	return buf_add_str(word, variable(j, name, len));
}

/*
 * Read one word: quotes and backslashes as a shell has them, variables put in.
 * Returns 1; 0 at the end of the text; -errno.
 */
static int next_word(const struct job *j, const char **p, struct buf *word)
{
	char quote = '\0';
	int r = 0;

	*p += strspn(*p, " \t");
	word->len = 0;
	if (!**p)
		return 0;
	while (r == 0 && **p && (quote || !strchr(" \t", **p))) {
		char c = **p;

		if (quote ? c == quote : c == '"' || c == '\'') {
			quote = quote ? '\0' : c;
			(*p)++;
		} else if (c == '$' && quote != '\'') {
			r = expand(j, p, word);
		} else {
			if (c == '\\' && quote != '\'' && (*p)[1])
				c = *++*p;
			r = buf_add(word, &c, 1);
			(*p)++;
		}
	}
	if (r == 0 && quote)
		r = -EINVAL;
	if (r == 0)
		r = buf_add(word, "", 0);
	if (r < 0)
		return err_set(j->e, -r, "%s: %s", j->name,
			r == -EINVAL ? "a quote or brace is not closed" : "out of memory");
	return 1;
}

/* A JSON array of strings, or NULL. */
static yyjson_mut_val *words_json(const struct job *j, const char *text)
{
	yyjson_doc *doc = text[0] == '[' ? yyjson_read(text, strlen(text), 0) : NULL;
	yyjson_val *root = yyjson_doc_get_root(doc);
	yyjson_mut_val *out = NULL;
	yyjson_val *item;
	size_t i, n;
	bool strings = yyjson_is_arr(root);

	if (strings)
		yyjson_arr_foreach (root, i, n, item)
			strings &= yyjson_is_str(item);
	if (strings)
		out = yyjson_val_mut_copy(j->doc, root);
	yyjson_doc_free(doc);
	return out;
}

/* What is to be run: words, or a line for the shell. */
static yyjson_mut_val *command(const struct job *j, const char *text)
{
	yyjson_mut_val *words = words_json(j, text);

	if (words)
		return words;
	words = yyjson_mut_arr(j->doc);
	yyjson_mut_arr_add_str(j->doc, words, "/bin/sh");
	yyjson_mut_arr_add_str(j->doc, words, "-c");
	yyjson_mut_arr_add_strcpy(j->doc, words, text);
	return words;
}

static int do_cmd(struct job *j, const char *text)
{
	set(j, j->config, "Cmd", command(j, text));
	return 0;
}

static int do_entrypoint(struct job *j, const char *text)
{
	set(j, j->config, "Entrypoint", command(j, text));
	return 0;
}

static void set_env(const struct job *j, const char *name, size_t len, const char *value)
{
	yyjson_mut_val *env = array_at(j, "Env");
	yyjson_mut_val *item;
	yyjson_mut_val *made;
	AUTO_BUF struct buf text = {0};
	size_t i, n;

	(void)buf_printf(&text, "%.*s=%s", (int)len, name, value);
	made = yyjson_mut_strcpy(j->doc, text.v ? text.v : "");
	yyjson_mut_arr_foreach (env, i, n, item) {
		const char *old = yyjson_mut_get_str(item);

		if (old && strncmp(old, name, len) == 0 && old[len] == '=') {
			yyjson_mut_arr_replace(env, i, made);
			return;
		}
	}
	yyjson_mut_arr_append(env, made);
}

static void set_label(const struct job *j, const char *name, size_t len, const char *value)
{
	yyjson_mut_val *labels = object_at(j, "Labels");
	yyjson_mut_val *key = yyjson_mut_strncpy(j->doc, name, len);

	yyjson_mut_obj_put(labels, key, yyjson_mut_strcpy(j->doc, value));
}

/* "A=1 B=2", or "A the rest" with one pair. */
static int pairs(struct job *j, const char *text,
	void (*one)(const struct job *j, const char *name, size_t len, const char *value))
{
	AUTO_BUF struct buf word = {0};
	const char *p = text;
	int r = next_word(j, &p, &word);

	if (r > 0 && !strchr(word.v, '=')) {
		p += strspn(p, " \t");
		if (!*p)
			return err_set(j->e, EINVAL, "%s must have two arguments", j->name);
		one(j, word.v, strlen(word.v), p);
		return 0;
	}
	for (; r > 0; r = next_word(j, &p, &word)) {
		const char *equals = strchr(word.v, '=');

		if (!equals || equals == word.v)
			return err_set(j->e, EINVAL,
				"Syntax error - can't find = in \"%.128s\". Must be of the form: "
				"name=value",
				word.v);
		one(j, word.v, (size_t)(equals - word.v), equals + 1);
	}
	return r;
}

static int do_env(struct job *j, const char *text)
{
	return pairs(j, text, set_env);
}

static int do_label(struct job *j, const char *text)
{
	return pairs(j, text, set_label);
}

/* "80", "80/udp", "8000-8010/tcp" */
static int do_expose(struct job *j, const char *text)
{
	yyjson_mut_val *ports = object_at(j, "ExposedPorts");
	AUTO_BUF struct buf word = {0};
	const char *p = text;
	int r;

	while ((r = next_word(j, &p, &word)) > 0) {
		const char *slash = strchr(word.v, '/');
		const char *proto = slash ? slash + 1 : "tcp";
		char *end;
		unsigned long first = strtoul(word.v, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		if (!isdigit((unsigned char)word.v[0]) || (*end && end != slash) || first == 0 ||
			last < first || last > 65535 ||
			(strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0 &&
				strcmp(proto, "sctp") != 0))
			return err_set(j->e, EINVAL, "Invalid containerPort: %.64s", word.v);
		for (; first <= last; first++) {
			char key[32];

			(void)snprintf(key, sizeof(key), "%lu/%s", first, proto);
			yyjson_mut_obj_put(
				ports, yyjson_mut_strcpy(j->doc, key), yyjson_mut_obj(j->doc));
		}
	}
	return r;
}

static int do_volume(struct job *j, const char *text)
{
	yyjson_mut_val *volumes = object_at(j, "Volumes");
	yyjson_mut_val *list = words_json(j, text);
	yyjson_mut_val *item;
	AUTO_BUF struct buf word = {0};
	const char *p = text;
	size_t i, n;
	int r;

	if (list) {
		yyjson_mut_arr_foreach (list, i, n, item)
			yyjson_mut_obj_put(volumes,
				yyjson_mut_strcpy(j->doc, yyjson_mut_get_str(item)),
				yyjson_mut_obj(j->doc));
		return 0;
	}
	while ((r = next_word(j, &p, &word)) > 0)
		yyjson_mut_obj_put(
			volumes, yyjson_mut_strcpy(j->doc, word.v), yyjson_mut_obj(j->doc));
	return r;
}

/* One word, with the variables in it. */
static int single(struct job *j, const char *text, struct buf *word)
{
	const char *p = text;
	int r = next_word(j, &p, word);

	p += strspn(p, " \t");
	if (r >= 0 && (r == 0 || *p))
		return err_set(j->e, EINVAL, "%s requires exactly one argument", j->name);
	return r < 0 ? r : 0;
}

static int do_user(struct job *j, const char *text)
{
	AUTO_BUF struct buf word = {0};
	int r = single(j, text, &word);

	if (r == 0)
		set(j, j->config, "User", yyjson_mut_strcpy(j->doc, word.v));
	return r;
}

static int do_stopsignal(struct job *j, const char *text)
{
	AUTO_BUF struct buf word = {0};
	int r = single(j, text, &word);

	if (r == 0)
		set(j, j->config, "StopSignal", yyjson_mut_strcpy(j->doc, word.v));
	return r;
}

static int do_workdir(struct job *j, const char *text)
{
	const char *old = yyjson_mut_get_str(yyjson_mut_obj_get(j->config, "WorkingDir"));
	AUTO_BUF struct buf word = {0};
	AUTO_BUF struct buf path = {0};
	int r = single(j, text, &word);

	if (r < 0)
		return r;
	if (word.v[0] != '/')
		r = buf_printf(&path, "%s%s", old && old[0] ? old : "/",
			old && old[0] && strcmp(old, "/") != 0 ? "/" : "");
	if (r == 0)
		r = buf_add_str(&path, word.v);
	if (r < 0)
		return err_set(j->e, ENOMEM, "out of memory");
	set(j, j->config, "WorkingDir", yyjson_mut_strcpy(j->doc, path.v));
	return 0;
}

static int do_onbuild(struct job *j, const char *text)
{
	static const char *const refused[] = {"ONBUILD", "FROM", "MAINTAINER"};
	size_t len = strcspn(text, " \t");

	if (len == 0)
		return err_set(j->e, EINVAL, "ONBUILD requires at least one argument");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strlen(refused[i]) == len && strncasecmp(text, refused[i], len) == 0)
			return err_set(
				j->e, EINVAL, "%s isn't allowed as an ONBUILD trigger", refused[i]);
	yyjson_mut_arr_add_strcpy(j->doc, array_at(j, "OnBuild"), text);
	return 0;
}

/* "1m30s", "500ms" in nanoseconds; -1 for what is no duration. */
static int64_t duration(const char *text)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}};
	double total = 0;

	if (!*text)
		return -1;
	while (*text) {
		char *end;
		double value = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;
		size_t i = 0;

		if (value < 0)
			return -1;
		while (i < sizeof(units) / sizeof(units[0]) &&
			strncmp(end, units[i].unit, strlen(units[i].unit)) != 0)
			i++;
		if (i == sizeof(units) / sizeof(units[0]) || value * units[i].ns > 9e18)
			return -1;
		total += value * units[i].ns;
		text = end + strlen(units[i].unit);
	}
	return total > 9e18 ? -1 : (int64_t)total;
}

/* One "--interval=5s" of HEALTHCHECK. */
static int health_option(const struct job *j, yyjson_mut_val *check, const char *word)
{
	static const struct {
		const char *flag, *key;
	} times[] = {
		{"--interval=", "Interval"},
		{"--timeout=", "Timeout"},
		{"--start-period=", "StartPeriod"},
		{"--start-interval=", "StartInterval"},
	};
	const char *equals = strchr(word, '=');
	char *end = NULL;
	int64_t value = -1;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (strncmp(word, times[i].flag, strlen(times[i].flag)) != 0)
			continue;
		value = duration(equals + 1);
		if (value >= 0)
			set(j, check, times[i].key, yyjson_mut_sint(j->doc, value));
	}
	if (strncmp(word, "--retries=", 10) == 0) {
		value = isdigit((unsigned char)equals[1]) ? strtol(equals + 1, &end, 10) : -1;
		if (end && *end)
			value = -1;
		if (value >= 0)
			set(j, check, "Retries", yyjson_mut_sint(j->doc, value));
	}
	return value < 0 ? err_set(j->e, EINVAL, "HEALTHCHECK: bad flag %.64s", word) : 0;
}

static int do_healthcheck(struct job *j, const char *text)
{
	yyjson_mut_val *check = yyjson_mut_obj(j->doc);
	yyjson_mut_val *test = yyjson_mut_arr(j->doc);
	yyjson_mut_val *words;
	AUTO_BUF struct buf word = {0};
	const char *p = text;
	int r;

	yyjson_mut_obj_add_val(j->doc, check, "Test", test);
	while ((r = next_word(j, &p, &word)) > 0 && strncmp(word.v, "--", 2) == 0) {
		r = health_option(j, check, word.v);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	p += strspn(p, " \t");
	if (r > 0 && strcasecmp(word.v, "NONE") == 0 && !*p) {
		yyjson_mut_arr_add_str(j->doc, test, "NONE");
	} else if (r > 0 && strcasecmp(word.v, "CMD") == 0 && *p) {
		words = words_json(j, p);
		if (words) {
			yyjson_mut_arr_add_str(j->doc, words, "CMD");
			yyjson_mut_arr_rotate(words, yyjson_mut_arr_size(words) - 1);
			set(j, check, "Test", words);
		} else {
			yyjson_mut_arr_add_str(j->doc, test, "CMD-SHELL");
			yyjson_mut_arr_add_strcpy(j->doc, test, p);
		}
	} else {
		return err_set(
			j->e, EINVAL, "HEALTHCHECK: expected NONE, or CMD and what is to be run");
	}
	set(j, j->config, "Healthcheck", check);
	return 0;
}

static const struct {
	const char *name;
	int (*apply)(struct job *j, const char *text);
} instructions[] = {
	{"CMD", do_cmd},
	{"ENTRYPOINT", do_entrypoint},
	{"ENV", do_env},
	{"EXPOSE", do_expose},
	{"HEALTHCHECK", do_healthcheck},
	{"LABEL", do_label},
	{"ONBUILD", do_onbuild},
	{"STOPSIGNAL", do_stopsignal},
	{"USER", do_user},
	{"VOLUME", do_volume},
	{"WORKDIR", do_workdir},
};

int instruction_apply(yyjson_mut_doc *doc, yyjson_mut_val *config, const char *text, struct err *e)
{
	struct job j = {.doc = doc, .config = config, .e = e};
	size_t len;

	text += strspn(text, " \t");
	len = strcspn(text, " \t");
	if (strlen(text) > INSTRUCTION_BYTES_MAX)
		return err_set(
			e, EINVAL, "an instruction has more than %d bytes", INSTRUCTION_BYTES_MAX);
	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		if (strlen(instructions[i].name) != len ||
			strncasecmp(text, instructions[i].name, len) != 0)
			continue;
		j.name = instructions[i].name;
		text += len + strspn(text + len, " \t");
		if (!text[0])
			return err_set(e, EINVAL, "%s requires at least one argument", j.name);
		return instructions[i].apply(&j, text);
	}
	return err_set(
		e, EINVAL, "%.*s is not a valid change command", len > 64 ? 64 : (int)len, text);
}
