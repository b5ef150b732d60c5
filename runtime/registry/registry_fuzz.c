/* What registries and clients say: the first byte tells as what the rest is read. */
#include "runtime/image/limits.h"
#include "runtime/image/manifest.h"
#include "runtime/registry/registry.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_challenge(const char *text)
{
	struct challenge c;

	/* What is taken has an end, and nothing that would end a header. */
	if (challenge_parse(text, &c) == 0 &&
		(strlen(c.realm) >= sizeof(c.realm) || strpbrk(c.realm, "\r\n")))
		abort();
}

static void fuzz_reference(const char *text)
{
	char familiar[REFERENCE_BYTES_MAX];
	struct reference ref, again;
	struct err e;

	if (reference_parse(text, &ref, &e) < 0)
		return;
	/* The short form means the same. */
	reference_familiar(&ref, familiar, sizeof(familiar));
	if (reference_parse(familiar, &again, &e) < 0 || strcmp(again.domain, ref.domain) != 0 ||
		strcmp(again.path, ref.path) != 0)
		abort();
}

static void fuzz_refusal(const char *text, size_t size)
{
	struct transfer_answer a = {.status = 400 + size % 200};
	enum registry_code code;
	struct err e;

	if (buf_add(&a.body, text, size) < 0)
		return;
	if (registry_refusal(&a, &code, &e) >= 0)
		abort();
	transfer_answer_free(&a);
}

static void fuzz_credentials(const char *text, size_t size, int encoded)
{
	struct credentials c;
	struct err e;

	if ((encoded ? credentials_decode(&c, text, &e) : credentials_parse(&c, text, size, &e)) ==
		0)
		credentials_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0 || size > 65536)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		return 0;
	switch (data[0]) {
	case 'w':
		fuzz_challenge(text);
		break;
	case 'r':
		fuzz_reference(text);
		break;
	case 'e':
		fuzz_refusal(text, strlen(text));
		break;
	case 'x':
	case 'j':
		fuzz_credentials(text, strlen(text), data[0] == 'x');
		break;
	default:
		break;
	}
	free(text);
	return 0;
}
