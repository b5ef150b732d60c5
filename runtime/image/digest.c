#include "runtime/image/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *prefix;
	size_t hex_len;
	mbedtls_md_type_t type;
} algorithms[] = {
	{"sha256:", 64, MBEDTLS_MD_SHA256},
	{"sha512:", 128, MBEDTLS_MD_SHA512},
};

#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

int digest_parse(const char *s, struct digest *ret_digest)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++) {
		size_t plen = strlen(algorithms[i].prefix);

		if (strncmp(s, algorithms[i].prefix, plen) != 0)
			continue;
		if (strspn(s + plen, "0123456789abcdef") != algorithms[i].hex_len ||
			s[plen + algorithms[i].hex_len] != '\0')
			return -EINVAL;
		memcpy(ret_digest->text, s, plen + algorithms[i].hex_len + 1);
		return 0;
	}
	return strchr(s, ':') ? -ENOTSUP : -EINVAL;
}

const char *digest_hex(const struct digest *d)
{
	return strchr(d->text, ':') + 1;
}

void digest_blob_path(const struct digest *d, char *buf, size_t size)
{
	int alg_len = (int)(digest_hex(d) - 1 - d->text);

	snprintf(buf, size, "blobs/%.*s/%s", alg_len, d->text, digest_hex(d));
}

static mbedtls_md_type_t type_of(const struct digest *d)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++) {
		if (strncmp(d->text, algorithms[i].prefix, strlen(algorithms[i].prefix)) == 0)
			return algorithms[i].type;
	}
	return MBEDTLS_MD_NONE;
}

int hasher_start(struct hasher *h, const struct digest *like)
{
	mbedtls_md_init(&h->md);
	h->by_cpu = type_of(like) == MBEDTLS_MD_SHA256 && sha256_available();
	if (h->by_cpu) {
		sha256_start(&h->cpu);
		return 0;
	}
	if (mbedtls_md_setup(&h->md, mbedtls_md_info_from_type(type_of(like)), 0) != 0 ||
		mbedtls_md_starts(&h->md) != 0) {
		mbedtls_md_free(&h->md);
		return -ENOMEM;
	}
	return 0;
}

void hasher_update(struct hasher *h, const void *buf, size_t len)
{
	if (h->by_cpu)
		sha256_update(&h->cpu, buf, len);
	else
		mbedtls_md_update(&h->md, buf, len);
}

/* End the hash and print it in hexadecimal, @len digits. Returns 0 or -EIO. */
static int finish(struct hasher *h, char *hex, size_t len)
{
	unsigned char sum[MBEDTLS_MD_MAX_SIZE] = {0};

	if (h->by_cpu)
		sha256_finish(&h->cpu, sum);
	else if (mbedtls_md_finish(&h->md, sum) != 0)
		return -EIO;
	for (size_t i = 0; i < len / 2; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

int hasher_finish(struct hasher *h, struct digest *digest)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++) {
		size_t plen = strlen(algorithms[i].prefix);

		if (strncmp(digest->text, algorithms[i].prefix, plen) == 0)
			return finish(h, digest->text + plen, algorithms[i].hex_len);
	}
	return -EIO;
}

int hasher_matches(struct hasher *h, const struct digest *want)
{
	char hex[DIGEST_TEXT_BYTES] = "";

	return finish(h, hex, strlen(digest_hex(want))) == 0 && strcmp(hex, digest_hex(want)) == 0;
}

void hasher_free(struct hasher *h)
{
	mbedtls_md_free(&h->md);
}

int digest_of(const void *buf, size_t len, struct digest *ret)
{
	struct digest made = {"sha256:"};
	struct hasher h;
	int r = hasher_start(&h, &made);

	if (r < 0)
		return r;
	hasher_update(&h, buf, len);
	r = finish(&h, made.text + strlen("sha256:"), 64);
	hasher_free(&h);
	if (r == 0)
		*ret = made;
	return r;
}

int digest_matches(const struct digest *want, const void *buf, size_t len)
{
	struct hasher h;
	int r = hasher_start(&h, want);

	if (r < 0)
		return r;
	hasher_update(&h, buf, len);
	r = hasher_matches(&h, want);
	hasher_free(&h);
	return r;
}
