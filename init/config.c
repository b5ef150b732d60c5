#include "init/config.h"

#include "lib/base/num.h"

#include <signal.h>
#include <string.h>

struct value {
	const char *s;
	size_t len;
};

struct key {
	const char *name;
	const char *expected; /* ends the sentence "expected …" */
	int (*set)(struct service_config *c, struct value v, size_t offset);
	size_t offset;
};

static bool value_is(struct value v, const char *word)
{
	return v.len == strlen(word) && memcmp(v.s, word, v.len) == 0;
}

static void *field(struct service_config *c, size_t offset)
{
	return (char *)c + offset;
}

static int set_bool(struct service_config *c, struct value v, size_t offset)
{
	if (!value_is(v, "yes") && !value_is(v, "no"))
		return -EINVAL;
	*(bool *)field(c, offset) = value_is(v, "yes");
	return 0;
}

static int set_ms(struct service_config *c, struct value v, size_t offset)
{
	uint64_t ms;
	int r = num_parse_ms(v.s, v.len, &ms);

	/* a day is longer than anything here can mean, and keeps sums far from overflow */
	if (r < 0 || ms > 86400000)
		return -EINVAL;
	*(uint64_t *)field(c, offset) = ms;
	return 0;
}

static int set_type(struct service_config *c, struct value v, size_t offset)
{
	(void)offset;
	if (!value_is(v, "service") && !value_is(v, "oneshot"))
		return -EINVAL;
	c->oneshot = value_is(v, "oneshot");
	return 0;
}

static int set_restart(struct service_config *c, struct value v, size_t offset)
{
	static const char *const words[] = {
		[RESTART_NO] = "no",
		[RESTART_ON_FAILURE] = "on-failure",
		[RESTART_ALWAYS] = "always",
	};

	(void)offset;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (value_is(v, words[i])) {
			c->restart = (enum service_restart)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_ready(struct service_config *c, struct value v, size_t offset)
{
	(void)offset;
	if (!value_is(v, "fd"))
		return -EINVAL;
	c->ready_fd = true;
	return 0;
}

static int set_tty(struct service_config *c, struct value v, size_t offset)
{
	(void)offset;
	if (!value_is(v, "console"))
		return -EINVAL;
	c->tty_console = true;
	return 0;
}

/* An absolute path or, for a condition, any word, in a field of SERVICE_PATH_BYTES_MAX. */
static int set_word(struct service_config *c, struct value v, size_t offset)
{
	if (v.len == 0 || v.len >= SERVICE_PATH_BYTES_MAX || memchr(v.s, '\0', v.len))
		return -EINVAL;
	memcpy(field(c, offset), v.s, v.len);
	return 0;
}

static int set_path(struct service_config *c, struct value v, size_t offset)
{
	return v.len > 0 && v.s[0] == '/' ? set_word(c, v, offset) : -EINVAL;
}

static int set_signal(struct service_config *c, struct value v, size_t offset)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{"TERM", SIGTERM},
		{"INT", SIGINT},
		{"QUIT", SIGQUIT},
		{"HUP", SIGHUP},
		{"KILL", SIGKILL},
		{"USR1", SIGUSR1},
		{"USR2", SIGUSR2},
		{"ABRT", SIGABRT},
		{"PWR", SIGPWR},
		{"WINCH", SIGWINCH},
		{"CONT", SIGCONT},
		{"ALRM", SIGALRM},
	};
	uint64_t number;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (value_is(v, signals[i].name)) {
			*(int *)field(c, offset) = signals[i].number;
			return 0;
		}
	}
	/* images may name real-time signals (systemd in a container wants 37), which have no name
	 */
	if (num_parse_u64(v.s, v.len, 64, &number) < 0 || number == 0)
		return -EINVAL;
	*(int *)field(c, offset) = (int)number;
	return 0;
}

static int set_oom(struct service_config *c, struct value v, size_t offset)
{
	bool negative = v.len > 0 && v.s[0] == '-';
	uint64_t number;

	(void)offset;
	if (num_parse_u64(v.s + negative, v.len - negative, 1000, &number) < 0)
		return -EINVAL;
	c->oom_score_adj = negative ? -(int)number : (int)number;
	return 0;
}

/* MIN..MAX */
static int set_backoff(struct service_config *c, struct value v, size_t offset)
{
	for (size_t i = 0; i + 2 <= v.len; i++) {
		struct value min = {v.s, i}, max = {v.s + i + 2, v.len - i - 2};
		int r;

		if (v.s[i] != '.' || v.s[i + 1] != '.')
			continue;
		r = set_ms(c, min, offsetof(struct service_config, backoff_min_ms));
		if (r == 0)
			r = set_ms(c, max, offsetof(struct service_config, backoff_max_ms));
		/* 0 would be a loop that never rests */
		if (r < 0 || c->backoff_min_ms == 0 || c->backoff_min_ms > c->backoff_max_ms)
			return -EINVAL;
		return 0;
	}
	(void)offset;
	return -EINVAL;
}

static int set_after(struct service_config *c, struct value v, size_t offset)
{
	size_t i = 0;

	(void)offset;
	while (i < v.len) {
		size_t start = i;

		while (i < v.len && v.s[i] != ' ' && v.s[i] != '\t')
			i++;
		if (!config_name_ok(v.s + start, i - start))
			return -EINVAL;
		if (c->after_count == SERVICE_AFTER_MAX)
			return -E2BIG;
		memcpy(c->after[c->after_count++], v.s + start, i - start);
		while (i < v.len && (v.s[i] == ' ' || v.s[i] == '\t'))
			i++;
	}
	return c->after_count > 0 ? 0 : -EINVAL;
}

/*
 * Words between blanks. '…' keeps everything, "…" everything but \" and \\, and a backslash outside
 * quotes keeps the next character. Nothing is expanded.
 */
static int set_exec(struct service_config *c, struct value v, size_t offset)
{
	char quote = '\0';
	bool inside = false;
	size_t n = 0;

	(void)offset;
	for (size_t i = 0; i <= v.len; i++) {
		char ch = i < v.len ? v.s[i] : ' ';
		bool literal = false;

		if (i == v.len && quote)
			return -EINVAL;
		if (ch == '\0')
			return -EINVAL;
		if (ch == '\\' && quote != '\'' && i + 1 < v.len &&
			(!quote || v.s[i + 1] == '"' || v.s[i + 1] == '\\')) {
			ch = v.s[++i];
			literal = true;
			if (ch == '\0')
				return -EINVAL;
		}
		if (n + 1 >= sizeof(c->args) || c->argc >= SERVICE_ARGS_MAX)
			return -E2BIG;
		if (!literal && quote && ch == quote) {
			quote = '\0';
		} else if (!literal && !quote && (ch == '\'' || ch == '"')) {
			quote = ch;
			inside = true;
		} else if (!literal && !quote && (ch == ' ' || ch == '\t')) {
			if (inside) {
				c->args[n++] = '\0';
				c->argc++;
			}
			inside = false;
		} else {
			c->args[n++] = ch;
			inside = true;
		}
	}
	c->args_len = (uint16_t)n;
	return c->argc > 0 && c->args[0] == '/' ? 0 : -EINVAL;
}

#define AT(name) offsetof(struct service_config, name)
static const struct key keys[] = {
	{"exec", "an absolute path and arguments, quotes closed", set_exec, 0},
	{"container", "the absolute path of an OCI bundle", set_path, AT(container)},
	{"type", "service or oneshot", set_type, 0},
	{"after", "names of services", set_after, 0},
	{"restart", "always, on-failure or no", set_restart, 0},
	{"backoff", "times MIN..MAX like 100ms..30s", set_backoff, 0},
	{"healthy-after", "a time like 10s", set_ms, AT(healthy_ms)},
	{"ready", "fd", set_ready, 0},
	{"ready-timeout", "a time like 60s", set_ms, AT(ready_timeout_ms)},
	{"stop-signal", "a signal like TERM, or its number", set_signal, AT(stop_signal)},
	{"shutdown-signal", "a signal like TERM, or its number", set_signal, AT(shutdown_signal)},
	{"stop-timeout", "a time like 10s", set_ms, AT(stop_timeout_ms)},
	{"oom-score-adj", "a number from -1000 to 1000", set_oom, 0},
	{"console", "yes or no", set_bool, AT(console)},
	{"tty", "console", set_tty, 0},
	{"condition.cmdline", "a word of the kernel's command line", set_word, AT(condition)},
};
#undef AT
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* What may be written into a service's cgroup. Not cgroup.procs and its kin: init owns those. */
static const char *const limit_files[] = {"cpu.max", "cpu.weight", "cpuset.cpus", "cpuset.mems",
	"io.max", "io.weight", "memory.high", "memory.low", "memory.max", "memory.min",
	"memory.oom.group", "memory.swap.max", "pids.max"};

bool config_name_ok(const char *name, size_t len)
{
	if (len == 0 || len >= 64 || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '_' && c != '-' && c != '.')
			return false;
	}
	return !(len == 4 && memcmp(name, "init", 4) == 0);
}

static int add_limit(
	struct service_config *c, struct value file, struct value v, int line, struct err *e)
{
	struct service_limit *limit = &c->limits[c->limit_count];
	size_t i;

	for (i = 0; i < sizeof(limit_files) / sizeof(limit_files[0]); i++)
		if (value_is(file, limit_files[i]))
			break;
	if (i == sizeof(limit_files) / sizeof(limit_files[0]))
		return err_set(e, EINVAL, "%s:%d: cgroup.%.*s: not a limit that a service may set",
			c->name, line, (int)file.len, file.s);
	for (i = 0; i < c->limit_count; i++)
		if (value_is(file, c->limits[i].file))
			return err_set(e, EINVAL, "%s:%d: cgroup.%s: set twice", c->name, line,
				c->limits[i].file);
	if (c->limit_count == SERVICE_LIMITS_MAX)
		return err_set(e, E2BIG, "%s:%d: more than %d cgroup limits", c->name, line,
			SERVICE_LIMITS_MAX);
	if (v.len == 0 || v.len >= sizeof(limit->value) || memchr(v.s, '\0', v.len))
		return err_set(e, EINVAL, "%s:%d: cgroup.%.*s: expected 1 to %zu characters",
			c->name, line, (int)file.len, file.s, sizeof(limit->value) - 1);
	if (value_is(file, "memory.min") && num_parse_size(v.s, v.len, &c->memory_min) < 0)
		return err_set(e, EINVAL, "%s:%d: cgroup.memory.min: expected a size like 8M",
			c->name, line);
	memcpy(limit->file, file.s, file.len);
	memcpy(limit->value, v.s, v.len);
	c->limit_count++;
	return 0;
}

/* What no single line can show. */
static int check_whole(const struct service_config *c, uint32_t seen, struct err *e)
{
	if ((c->argc > 0) == (c->container[0] != '\0'))
		return err_set(e, EINVAL, "%s: expected one of exec= and container=", c->name);
	if (c->container[0] && (c->oneshot || c->ready_fd || c->tty_console))
		return err_set(e, EINVAL, "%s: type=oneshot, ready= and tty= need exec=", c->name);
	if (c->oneshot && (c->ready_fd || c->restart == RESTART_ALWAYS))
		return err_set(e, EINVAL,
			"%s: type=oneshot is ready when it ended: no ready=, no restart=always",
			c->name);
	if (c->tty_console && c->console)
		return err_set(e, EINVAL, "%s: tty=console has no log for console=yes", c->name);
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(keys[i].name, "ready-timeout") == 0 && (seen >> i & 1) && !c->ready_fd)
			return err_set(e, EINVAL, "%s: ready-timeout= needs ready=fd", c->name);
	for (unsigned i = 0; i < c->after_count; i++)
		if (strcmp(c->after[i], c->name) == 0)
			return err_set(e, EINVAL, "%s: after= names the service itself", c->name);
	return 0;
}

static int parse_line(
	struct service_config *c, struct value text, int line, uint32_t *seen, struct err *e)
{
	const char *equals = memchr(text.s, '=', text.len);
	struct value key, v;
	int r;

	if (!equals)
		return err_set(e, EINVAL, "%s:%d: expected key=value", c->name, line);
	key = (struct value){text.s, (size_t)(equals - text.s)};
	v = (struct value){equals + 1, text.len - key.len - 1};
	if (key.len > 7 && memcmp(key.s, "cgroup.", 7) == 0)
		return add_limit(c, (struct value){key.s + 7, key.len - 7}, v, line, e);
	for (size_t i = 0; i < KEYS; i++) {
		if (!value_is(key, keys[i].name))
			continue;
		if (*seen >> i & 1)
			return err_set(
				e, EINVAL, "%s:%d: %s: set twice", c->name, line, keys[i].name);
		*seen |= UINT32_C(1) << i;
		r = keys[i].set(c, v, keys[i].offset);
		if (r == -E2BIG)
			return err_set(
				e, E2BIG, "%s:%d: %s: too long", c->name, line, keys[i].name);
		if (r < 0)
			return err_set(e, EINVAL, "%s:%d: %s: expected %s", c->name, line,
				keys[i].name, keys[i].expected);
		return 0;
	}
	return err_set(e, EINVAL, "%s:%d: unknown key \"%.*s\"", c->name, line,
		(int)(key.len < 40 ? key.len : 40), key.s);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

int config_parse(
	const char *name, const char *buf, size_t len, struct service_config *ret, struct err *e)
{
	static struct service_config c; /* too large for a stack that has to last */
	size_t name_len = strnlen(name, INIT_ID_BYTES);
	uint32_t seen = 0;
	size_t i = 0;
	int r;

	if (!config_name_ok(name, name_len))
		return err_set(e, EINVAL, "%.40s: not a name for a service", name);
	c = (struct service_config){
		.restart = RESTART_NO,
		.stop_timeout_ms = 10000,
		.ready_timeout_ms = READY_TIMEOUT_MS,
		.backoff_min_ms = 100,
		.backoff_max_ms = 30000,
		.healthy_ms = 10000,
	};
	memcpy(c.name, name, name_len);
	for (int line = 1; i < len; line++) {
		const char *newline = memchr(buf + i, '\n', len - i);
		size_t end = newline ? (size_t)(newline - buf) : len;
		struct value text = {buf + i, end - i};

		i = end + 1;
		while (text.len > 0 && is_blank(text.s[0])) {
			text.s++;
			text.len--;
		}
		while (text.len > 0 && is_blank(text.s[text.len - 1]))
			text.len--;
		if (text.len == 0 || text.s[0] == '#')
			continue;
		r = parse_line(&c, text, line, &seen, e);
		if (r < 0)
			return r;
	}
	r = check_whole(&c, seen, e);
	if (r < 0)
		return r;
	/* an interactive shell ignores SIGTERM; that its terminal goes away it understands */
	if (c.stop_signal == 0)
		c.stop_signal = c.tty_console ? SIGHUP : SIGTERM;
	if (c.shutdown_signal == 0)
		c.shutdown_signal = c.stop_signal;
	*ret = c;
	return 0;
}
