#include "runtime/registry/credentials.h"

#include "lib/util/json.h"
#include "runtime/registry/limits.h"

#include <mbedtls/base64.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *key;
	size_t offset;
} members[] = {
	{"username", offsetof(struct credentials, username)},
	{"password", offsetof(struct credentials, password)},
	{"identitytoken", offsetof(struct credentials, identity_token)},
	{"registrytoken", offsetof(struct credentials, registry_token)},
	{"serveraddress", offsetof(struct credentials, server)},
};

static char **member(struct credentials *c, size_t i)
{
	return (char **)(void *)((char *)c + members[i].offset);
}

/* "auth": base64 of "user:password", for clients that send nothing else. */
static int take_auth(struct credentials *c, const char *auth)
{
	unsigned char plain[1024];
	size_t len = 0;
	char *colon;

	if (c->username[0] || !auth ||
		mbedtls_base64_decode(plain, sizeof(plain) - 1, &len, (const unsigned char *)auth,
			strlen(auth)) != 0)
		return 0;
	plain[len] = '\0';
	colon = strchr((char *)plain, ':');
	if (!colon)
		return 0;
	*colon = '\0';
	free(c->username);
	free(c->password);
	c->username = strdup((char *)plain);
	c->password = strdup(colon + 1);
	explicit_bzero(plain, sizeof(plain));
	return c->username && c->password ? 0 : -ENOMEM;
}

int credentials_parse(struct credentials *c, const char *json, size_t len, struct err *e)
{
	yyjson_doc *doc = yyjson_read(json, len, 0);
	yyjson_val *top = yyjson_doc_get_root(doc);
	int r = 0;

	*c = (struct credentials){0};
	if (!yyjson_is_obj(top))
		r = err_set(e, EINVAL, "invalid AuthConfig: expected a JSON object");
	for (size_t i = 0; r == 0 && i < COUNT(members); i++) {
		yyjson_val *val = yyjson_obj_get(top, members[i].key);

		if (val && !yyjson_is_str(val) && !yyjson_is_null(val)) {
			r = err_set(e, EINVAL, "invalid AuthConfig: %s: expected a string",
				members[i].key);
			break;
		}
		/* One goes into a header as it is. */
		if (yyjson_is_str(val) && strpbrk(yyjson_get_str(val), "\r\n") &&
			members[i].offset == offsetof(struct credentials, registry_token)) {
			r = err_set(e, EINVAL, "invalid AuthConfig: %s: more than one line",
				members[i].key);
			break;
		}
		*member(c, i) = strdup(yyjson_is_str(val) ? yyjson_get_str(val) : "");
		if (!*member(c, i))
			r = err_set(e, ENOMEM, "out of memory");
	}
	if (r == 0 && take_auth(c, yyjson_get_str(yyjson_obj_get(top, "auth"))) < 0)
		r = err_set(e, ENOMEM, "out of memory");
	yyjson_doc_free(doc);
	if (r < 0)
		credentials_free(c);
	return r;
}

/* One alphabet, and padding. Returns a text to be freed, or NULL. */
static char *normalise(const char *text, size_t len)
{
	char *copy = malloc(len + 4);

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i++)
		copy[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	while (len % 4)
		copy[len++] = '=';
	copy[len] = '\0';
	return copy;
}

int credentials_decode(struct credentials *c, const char *header, struct err *e)
{
	size_t len = strlen(header);
	char *text;
	unsigned char *plain;
	size_t n = 0;
	int r;

	*c = (struct credentials){0};
	if (len > REGISTRY_AUTH_BYTES_MAX)
		return err_set(e, EINVAL, "invalid X-Registry-Auth header: longer than %u bytes",
			REGISTRY_AUTH_BYTES_MAX);
	while (len && header[len - 1] == '=')
		len--;
	text = normalise(header, len);
	plain = malloc(len + 4);
	if (!text || !plain)
		r = err_set(e, ENOMEM, "out of memory");
	else if (mbedtls_base64_decode(
			 plain, len + 4, &n, (const unsigned char *)text, strlen(text)) != 0)
		r = err_set(e, EINVAL, "invalid X-Registry-Auth header: no base64");
	else
		r = credentials_parse(c, (char *)plain, n, e);
	if (plain)
		explicit_bzero(plain, len + 4);
	free(plain);
	free(text);
	return r;
}

void credentials_free(struct credentials *c)
{
	for (size_t i = 0; i < COUNT(members); i++) {
		char **at = member(c, i);

		if (*at)
			explicit_bzero(*at, strlen(*at));
		free(*at);
		*at = NULL;
	}
}
