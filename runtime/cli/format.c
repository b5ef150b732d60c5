#include "runtime/cli/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void format_duration(uint64_t ms, char *buf, size_t size)
{
	unsigned long long s = ms / 1000;

	if (s < 60)
		snprintf(buf, size, "%llus", s);
	else if (s < 3600)
		snprintf(buf, size, "%llum %llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%lluh %llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, "%llud %lluh", s / 86400, s / 3600 % 24);
}

static void put_size(
	double bytes, double unit, const char *const names[9], int digits, char *buf, size_t size)
{
	size_t i = 0;

	for (; bytes >= unit && i < 8; i++)
		bytes /= unit;
	snprintf(buf, size, "%.*g%s", digits, bytes, names[i]);
}

void format_size(double bytes, int digits, char *buf, size_t size)
{
	static const char *const names[9] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};

	put_size(bytes, 1000, names, digits, buf, size);
}

void format_binary_size(double bytes, char *buf, size_t size)
{
	static const char *const names[9] = {
		"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};

	put_size(bytes, 1024, names, 4, buf, size);
}

void format_time(int64_t seconds, char *buf, size_t size)
{
	time_t t = seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(buf, size, "%Y-%m-%d %H:%M:%S %z %Z", &tm) == 0)
		snprintf(buf, size, "%lld", (long long)seconds);
}

void format_time_ns(int64_t ns, char *buf, size_t size)
{
	time_t t = ns / 1000000000;
	char day[32] = "", zone[8] = "";
	struct tm tm = {0};

	(void)localtime_r(&t, &tm);
	(void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)strftime(zone, sizeof(zone), "%z", &tm);
	if (strcmp(zone, "+0000") == 0)
		snprintf(buf, size, "%s.%09lldZ", day, (long long)(ns % 1000000000));
	else
		snprintf(buf, size, "%s.%09lld%.3s:%s", day, (long long)(ns % 1000000000), zone,
			zone + 3);
}

size_t format_width(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* Bytes of the first @max characters. */
static size_t prefix(const char *text, size_t max)
{
	size_t i = 0;

	for (size_t n = 0; text[i]; i++) {
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (n > max)
			break;
	}
	return i;
}

static int add_cut(struct buf *b, const char *text, size_t max,
	int (*add)(struct buf *b, const char *text, size_t len))
{
	size_t len = strlen(text);
	int r;

	if (max == 0 || format_width(text, len) <= max)
		return add(b, text, len);
	r = add(b, text, prefix(text, max - 1));
	return r < 0 ? r : buf_add_str(b, "…");
}

static int add_plain(struct buf *b, const char *text, size_t len)
{
	return buf_add(b, text, len);
}

static int add_escaped(struct buf *b, const char *text, size_t len)
{
	static const char named[] = "\a\b\f\n\r\t\v\"\\", letters[] = "abfnrtv\"\\";
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		const char *at = memchr(named, text[i], sizeof(named) - 1);

		if (at)
			r = buf_printf(b, "\\%c", letters[at - named]);
		else if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			r = buf_printf(b, "\\x%02x", text[i]);
		else
			r = buf_add(b, text + i, 1);
	}
	return r;
}

int format_cut(struct buf *b, const char *text, size_t max)
{
	return add_cut(b, text, max, add_plain);
}

int format_quoted(struct buf *b, const char *text, size_t max)
{
	int r = buf_add(b, "\"", 1);

	if (r == 0)
		r = add_cut(b, text, max, add_escaped);
	return r < 0 ? r : buf_add(b, "\"", 1);
}

int format_parse_bytes(const char *text, int64_t *ret)
{
	static const char units[] = "bkmgtp";
	double n, unit = 1;
	const char *found;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	n = strtod(text, &end);
	if (*end == ' ')
		end++;
	found = *end ? strchr(units, *end | 0x20) : NULL;
	if (*end && !found)
		return -EINVAL;
	for (const char *u = units; found && u < found; u++)
		unit *= 1024;
	if (*end)
		end++;
	if (found && found != units && (*end | 0x20) == 'i')
		end++;
	if (found && found != units && (*end | 0x20) == 'b')
		end++;
	if (*end || n * unit >= 9.2e18)
		return -EINVAL;
	*ret = (int64_t)(n * unit);
	return 0;
}

int format_parse_duration(const char *text, int64_t *ret)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double sum = 0;

	if (strcmp(text, "0") == 0) {
		*ret = 0;
		return 0;
	}
	do {
		char *end;
		size_t i = 0, len;
		double n;

		if (!strchr("0123456789.", text[0]) || !text[0])
			return -EINVAL;
		n = strtod(text, &end);
		if (end == text)
			return -EINVAL;
		len = strcspn(end, "0123456789.");
		while (i < 6 && (strncmp(end, units[i].name, len) != 0 || units[i].name[len]))
			i++;
		if (i == 6)
			return -EINVAL;
		sum += n * units[i].ns;
		text = end + len;
	} while (*text);
	if (sum >= 9.2e18)
		return -EINVAL;
	*ret = (int64_t)sum;
	return 0;
}

/* The zone behind a date: "Z", "+02:00", nothing for the machine's. */
static int zoned(const char *zone, struct tm *tm, int64_t *ret)
{
	int minutes;

	if (zone[0] == '\0') {
		tm->tm_isdst = -1;
		*ret = mktime(tm);
		return 0;
	}
	*ret = timegm(tm);
	if (strcmp(zone, "Z") == 0)
		return 0;
	if ((zone[0] != '+' && zone[0] != '-') || strlen(zone) != 6 || zone[3] != ':' ||
		strspn(zone + 1, "0123456789") != 2 || strspn(zone + 4, "0123456789") != 2)
		return -EINVAL;
	minutes =
		((zone[1] - '0') * 10 + zone[2] - '0') * 60 + (zone[4] - '0') * 10 + zone[5] - '0';
	*ret -= (zone[0] == '-' ? -1 : 1) * minutes * 60;
	return 0;
}

static int parse_date(const char *text, char *buf, size_t size)
{
	static const char *const formats[] = {
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d"};
	char fraction[16] = "0";

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm = {0};
		const char *rest = strptime(text, formats[i], &tm);
		int64_t seconds;

		if (!rest)
			continue;
		if (i == 0 && rest[0] == '.') {
			size_t len = strspn(rest + 1, "0123456789");

			if (len == 0 || len > 9)
				return -EINVAL;
			snprintf(fraction, sizeof(fraction), "%.*s", (int)len, rest + 1);
			rest += len + 1;
		}
		if (zoned(rest, &tm, &seconds) < 0)
			return -EINVAL;
		while (strlen(fraction) < 9)
			strcat(fraction, "0");
		snprintf(buf, size, "%lld.%s", (long long)seconds, fraction);
		return 0;
	}
	return -EINVAL;
}

int format_moment(const char *text, int64_t now, char *buf, size_t size)
{
	int64_t ns;

	if (text[0] && text[strspn(text, "0123456789.")] == '\0') {
		snprintf(buf, size, "%s", text);
		return 0;
	}
	if (format_parse_duration(text, &ns) == 0) {
		snprintf(buf, size, "%lld.%09lld", (long long)(now - (ns + 999999999) / 1000000000),
			(long long)((1000000000 - ns % 1000000000) % 1000000000));
		return 0;
	}
	return parse_date(text, buf, size);
}
