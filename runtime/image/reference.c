#include "runtime/image/reference.h"

#include "runtime/image/digest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *skip_prefix(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(s, prefix, len) == 0 ? s + len : s;
}

static bool has_upper(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (isupper((unsigned char)s[i]))
			return true;
	return false;
}

/* Whether the first component of @name is taken for a host. Source: distribution/reference. */
static bool begins_with_domain(const char *name)
{
	size_t len = strcspn(name, "/");

	return name[len] == '/' &&
	       (memchr(name, '.', len) || memchr(name, ':', len) || has_upper(name, len) ||
		       (len == 9 && strncmp(name, "localhost", 9) == 0));
}

/* "library/debian" → "debian"; what is deeper keeps it, or it would be another's name. */
static const char *skip_library(const char *name)
{
	const char *rest = skip_prefix(name, "library/");

	return strchr(rest, '/') ? name : rest;
}

/* What follows the colon of the tag; NULL without one. A colon before the last slash is a port. */
static const char *find_tag(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	const char *colon = strchr(slash ? slash : ref, ':');

	return colon ? colon + 1 : NULL;
}

const char *reference_tag(const char *ref)
{
	const char *tag = find_tag(ref);

	if (strchr(ref, '@'))
		return NULL;
	return tag ? tag : "latest";
}

int reference_shorten(const char *ref, char *out, size_t size)
{
	const char *name = skip_prefix(skip_prefix(ref, "docker.io/"), "index.docker.io/");
	const char *domain = name != ref && begins_with_domain(name) ? "docker.io/" : "";
	int n;

	if (ref[0] == '\0' || strpbrk(ref, " \t\r\n"))
		return -EINVAL;
	name = skip_library(name);
	n = snprintf(out, size, "%s%s%s", domain, name,
		find_tag(name) || strchr(name, '@') ? "" : ":latest");
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int reference_same(const char *a, const char *b)
{
	char x[REFERENCE_BYTES_MAX];
	char y[REFERENCE_BYTES_MAX];

	if (reference_shorten(a, x, sizeof(x)) < 0 || reference_shorten(b, y, sizeof(y)) < 0)
		return 0;
	return strcmp(x, y) == 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define WORD LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "_"

/* "host", "host:5000", "[::1]:5000", "10.0.0.1" */
int reference_is_domain(const char *s)
{
	size_t n;

	if (*s == '[') {
		n = 1 + strspn(s + 1, DIGITS "abcdefABCDEF:");
		if (n == 1 || s[n] != ']')
			return 0;
		s += n + 1;
	} else {
		do {
			n = strspn(s, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "-");
			if (n == 0 || s[0] == '-' || s[n - 1] == '-')
				return 0;
			s += n;
		} while (*s++ == '.');
		s--;
	}
	if (*s == '\0')
		return 1;
	n = strspn(s + 1, DIGITS);
	return *s == ':' && n > 0 && s[1 + n] == '\0';
}

/* Components of lower-case letters and digits, with one of . _ __ or any number of - between. */
static bool path_ok(const char *s)
{
	for (;;) {
		size_t n = strspn(s, LOWER DIGITS);

		if (n == 0)
			return false;
		s += n;
		if (*s == '\0')
			return true;
		if (*s == '-')
			s += strspn(s, "-");
		else if (s[0] == '_' && s[1] == '_')
			s += 2;
		else if (*s != '/' && *s != '.' && *s != '_')
			return false;
		else
			s++;
	}
}

static bool tag_ok(const char *s)
{
	return *s && strchr(WORD, *s) && strspn(s, WORD ".-") == strlen(s);
}

/* Copy @len bytes at @from. Returns whether they fit. */
static bool take(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* The domain of @name, if its first component is one. Returns where the path starts. */
static const char *split_domain(const char *name, struct reference *ret)
{
	size_t len = strcspn(name, "/");

	if (!begins_with_domain(name) || !take(ret->domain, sizeof(ret->domain), name, len)) {
		strcpy(ret->domain, "docker.io");
		return name;
	}
	if (strcmp(ret->domain, "index.docker.io") == 0)
		strcpy(ret->domain, "docker.io");
	return name + len + 1;
}

/* Cut the tag and the digest off the name that starts at @path. */
static int split_rest(const char *path, struct reference *ret)
{
	const char *at = strchr(path, '@');
	size_t end = at ? (size_t)(at - path) : strlen(path);
	const char *colon = memchr(path, ':', end);
	size_t name_end = colon ? (size_t)(colon - path) : end;
	bool official = strcmp(ret->domain, "docker.io") == 0 && !memchr(path, '/', name_end);
	const char *library = official ? "library/" : "";
	size_t room = sizeof(ret->path) - strlen(library);
	struct digest digest;

	(void)snprintf(ret->path, sizeof(ret->path), "%s", library);
	if (!take(ret->path + strlen(library), room, path, name_end))
		return -ENAMETOOLONG;
	if (colon && (!take(ret->tag, sizeof(ret->tag), colon + 1, end - name_end - 1) ||
			     !tag_ok(ret->tag)))
		return -EINVAL;
	if (at && (digest_parse(at + 1, &digest) < 0 ||
			  !take(ret->digest, sizeof(ret->digest), at + 1, strlen(at + 1))))
		return -EINVAL;
	return 0;
}

int reference_parse(const char *ref, struct reference *ret, struct err *e)
{
	const char *path;
	int r;

	*ret = (struct reference){0};
	path = split_domain(ref, ret);
	r = split_rest(path, ret);
	if (r == -ENAMETOOLONG)
		return err_set(e, EINVAL, "repository name must not be more than 255 characters");
	/* As Docker does, say so when this alone is what is wrong. */
	if (r == 0 && has_upper(ret->path, strlen(ret->path)))
		return err_set(e, EINVAL,
			"invalid reference format: repository name (%.255s) must be lowercase",
			ret->path);
	if (r < 0 || !reference_is_domain(ret->domain) || !path_ok(ret->path))
		return err_set(e, EINVAL, "invalid reference format");
	if (strlen(ref) == 64 && strspn(ref, "abcdef" DIGITS) == 64)
		return err_set(e, EINVAL,
			"invalid repository name (%.64s), cannot specify 64-byte hexadecimal "
			"strings",
			ref);
	return 0;
}

void reference_familiar(const struct reference *ref, char *buf, size_t size)
{
	/* Where the path alone would read as another registry's name, the domain stays; Docker
	 * leaves it out and has two images of one name. */
	if (strcmp(ref->domain, "docker.io") != 0 || begins_with_domain(ref->path))
		(void)snprintf(buf, size, "%s/%s", ref->domain, ref->path);
	else
		(void)snprintf(buf, size, "%s", skip_library(ref->path));
}

static const struct {
	const char *name;
	struct platform platform;
} platforms[] = {
	{"linux/amd64", {"linux", "amd64"}},
	{"linux/arm64", {"linux", "arm64"}},
	{"linux/arm64/v8", {"linux", "arm64"}},
};

int platform_parse(const char *s, struct platform *ret_platform)
{
	for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++) {
		if (strcmp(s, platforms[i].name) == 0) {
			*ret_platform = platforms[i].platform;
			return 0;
		}
	}
	return -ENOTSUP;
}

struct platform platform_native(void)
{
#if defined(__aarch64__)
	return platforms[1].platform;
#else
	return platforms[0].platform;
#endif
}
