#include "runtime/image/sha256.h"

#include <string.h>

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

/* The first 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

int sha256_available(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
		return 0;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* Four words of the message schedule from the sixteen before them. */
__attribute__((target("sha,sse4.1,ssse3"))) static inline __m128i next_words(
	__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
	__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));

	return _mm_sha256msg2_epu32(sum, w3);
}

/* Take in @n whole blocks. The instructions keep the state as two halves: A B E F and C D G H. */
__attribute__((target("sha,sse4.1,ssse3"))) static void take_blocks(
	uint32_t state[8], const unsigned char *at, size_t n)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i badc =
		_mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
	__m128i hgfe = _mm_shuffle_epi32(
		_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
	__m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);

	for (; n > 0; n--, at += SHA256_BLOCK_BYTES) {
		const __m128i abef_before = abef;
		const __m128i cdgh_before = cdgh;
		__m128i w[4];

		for (size_t i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(
				_mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i)),
				big_endian);
#pragma GCC unroll 16
		for (size_t i = 0; i < 16; i++) {
			__m128i k =
				_mm_loadu_si128((const __m128i *)(const void *)(constants + 4 * i));
			__m128i sum = _mm_add_epi32(w[i % 4], k);

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
			if (i < 12)
				w[i % 4] = next_words(
					w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	abef = _mm_shuffle_epi32(abef, 0x1b);
	cdgh = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(abef, cdgh, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(cdgh, abef, 8));
}

#else

int sha256_available(void)
{
	return 0;
}

static void take_blocks(uint32_t state[8], const unsigned char *at, size_t n)
{
	(void)state;
	(void)at;
	(void)n;
}

#endif

void sha256_start(struct sha256 *s)
{
	/* The first 32 bits of the fractions of the square roots of the first eight primes. */
	*s = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
				     0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_update(struct sha256 *s, const void *buf, size_t len)
{
	const unsigned char *at = buf;
	size_t had = s->len % SHA256_BLOCK_BYTES;

	/* then @buf may be NULL */
	if (len == 0)
		return;
	s->len += len;
	if (had) {
		size_t more = SHA256_BLOCK_BYTES - had < len ? SHA256_BLOCK_BYTES - had : len;

		memcpy(s->block + had, at, more);
		at += more;
		len -= more;
		if (had + more < SHA256_BLOCK_BYTES)
			return;
		take_blocks(s->state, s->block, 1);
	}
	take_blocks(s->state, at, len / SHA256_BLOCK_BYTES);
	at += len - len % SHA256_BLOCK_BYTES;
	if (len % SHA256_BLOCK_BYTES)
		memcpy(s->block, at, len % SHA256_BLOCK_BYTES);
}

void sha256_finish(struct sha256 *s, unsigned char sum[static SHA256_BYTES])
{
	const uint64_t bits = s->len * 8;
	const size_t had = s->len % SHA256_BLOCK_BYTES;
	/* A bit, zeros and the length in bits make the last block whole, or it and another one. */
	const size_t pad = (had < 56 ? 56 : 120) - had;
	unsigned char end[SHA256_BLOCK_BYTES + 8] = {0x80};

	for (size_t i = 0; i < 8; i++)
		end[pad + i] = (unsigned char)(bits >> (56 - 8 * i));
	sha256_update(s, end, pad + 8);
	for (size_t i = 0; i < SHA256_BYTES; i++)
		sum[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}
