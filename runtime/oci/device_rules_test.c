#include "runtime/oci/device_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define R BPF_DEVCG_ACC_READ
#define W BPF_DEVCG_ACC_WRITE
#define M BPF_DEVCG_ACC_MKNOD

/* The few instructions that the compiler emits, as the kernel executes them. */
static int run(const struct bpf_insn *insns, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t reg[11] = {0};
	size_t pc = 0;

	while (pc < n) {
		const struct bpf_insn *i = &insns[pc++];
		uint64_t *dst = &reg[i->dst_reg];
		uint64_t imm = (uint64_t)(int64_t)i->imm;
		bool jump = false;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			assert_int_equal(i->src_reg, 1);
			assert_true((size_t)i->off + 4 <= sizeof(*ctx));
			*dst = *(const uint32_t *)(const void *)((const char *)ctx + i->off);
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*dst = reg[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*dst = imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*dst &= imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			*dst >>= imm;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			jump = (uint32_t)*dst != (uint32_t)imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			jump = *dst != imm;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = (*dst & imm) != 0;
			break;
		case BPF_JMP | BPF_JA:
			jump = true;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)reg[0];
		default:
			fail_msg("instruction %#x", i->code);
		}
		if (jump)
			pc += (size_t)i->off;
	}
	fail_msg("ran off the end");
	return -1;
}

static int allowed(const struct config_device_rule *rules, size_t n, char type, unsigned major,
	unsigned minor, unsigned access)
{
	struct bpf_insn *insns = calloc(device_rules_insns_max(n), sizeof(*insns));
	struct bpf_cgroup_dev_ctx ctx = {
		.access_type =
			access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		.major = major,
		.minor = minor};
	size_t len = device_rules_compile(rules, n, insns);
	int answer = 1;

	assert_true(len <= device_rules_insns_max(n));
	if (len > 0)
		answer = run(insns, len, &ctx);
	free(insns);
	return answer;
}

static void without_rules_only_the_default_devices(void **state)
{
	(void)state;
	assert_true(allowed(NULL, 0, 'c', 1, 3, R | W));
	assert_true(allowed(NULL, 0, 'c', 136, 77, R | W));
	assert_true(allowed(NULL, 0, 'b', 8, 0, M));
	assert_false(allowed(NULL, 0, 'b', 8, 0, R));
	assert_false(allowed(NULL, 0, 'c', 1, 1, R)); /* /dev/mem */
	assert_false(allowed(NULL, 0, 'c', 10, 200, R | W));
}

static void defaults_survive_a_denial_of_everything(void **state)
{
	const struct config_device_rule rules[] = {
		{.allow = false, .type = 'a', .major = -1, .minor = -1, .access = R | W | M}};

	(void)state;
	assert_true(allowed(rules, 1, 'c', 1, 8, R));
	assert_false(allowed(rules, 1, 'c', 10, 229, R | W));
}

static void the_last_rule_decides(void **state)
{
	const struct config_device_rule rules[] = {
		{.allow = false, .type = 'a', .major = -1, .minor = -1, .access = R | W | M},
		{.allow = true, .type = 'c', .major = 10, .minor = -1, .access = R | W},
		{.allow = false, .type = 'c', .major = 10, .minor = 229, .access = W},
	};

	(void)state;
	assert_true(allowed(rules, 3, 'c', 10, 1, R | W));
	assert_true(allowed(rules, 3, 'c', 10, 229, R));
	assert_false(allowed(rules, 3, 'c', 10, 229, W));
	assert_false(allowed(rules, 3, 'c', 10, 229, R | W));
	assert_false(allowed(rules, 3, 'b', 10, 1, R));
	assert_false(allowed(rules, 3, 'c', 11, 229, R));
}

static void two_rules_together_allow_both_ways(void **state)
{
	const struct config_device_rule rules[] = {
		{.allow = true, .type = 'b', .major = 8, .minor = 1, .access = R},
		{.allow = true, .type = 'b', .major = 8, .minor = 1, .access = W},
	};

	(void)state;
	assert_true(allowed(rules, 2, 'b', 8, 1, R | W));
	assert_false(allowed(rules, 1, 'b', 8, 1, R | W));
	assert_false(allowed(rules, 2, 'b', 8, 2, R));
}

static void allowing_everything_needs_no_program(void **state)
{
	const struct config_device_rule rules[] = {
		{.allow = false, .type = 'c', .major = 1, .minor = 1, .access = R | W | M},
		{.allow = true, .type = 'a', .major = -1, .minor = -1, .access = R | W | M},
		{.allow = false, .type = 'c', .major = 1, .minor = 1, .access = W},
	};
	struct bpf_insn insns[128];

	(void)state;
	assert_int_equal(device_rules_compile(rules, 2, insns), 0);
	assert_true(device_rules_compile(rules, 3, insns) > 0);
	assert_false(allowed(rules, 3, 'c', 1, 1, W));
	assert_true(allowed(rules, 3, 'b', 8, 0, R | W));
}

static void reading_everything_is_not_everything(void **state)
{
	const struct config_device_rule rules[] = {
		{.allow = true, .type = 'a', .major = -1, .minor = -1, .access = R}};

	(void)state;
	assert_true(allowed(rules, 1, 'b', 8, 0, R));
	assert_false(allowed(rules, 1, 'b', 8, 0, W));
}

static void large_device_numbers_compare_in_32_bits(void **state)
{
	const struct config_device_rule rules[] = {{.allow = true,
		.type = 'c',
		.major = UINT32_MAX,
		.minor = 0x80000000,
		.access = R}};

	(void)state;
	assert_true(allowed(rules, 1, 'c', UINT32_MAX, 0x80000000, R));
	assert_false(allowed(rules, 1, 'c', UINT32_MAX, 0x80000001, R));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rules_only_the_default_devices),
		cmocka_unit_test(defaults_survive_a_denial_of_everything),
		cmocka_unit_test(the_last_rule_decides),
		cmocka_unit_test(two_rules_together_allow_both_ways),
		cmocka_unit_test(allowing_everything_needs_no_program),
		cmocka_unit_test(reading_everything_is_not_everything),
		cmocka_unit_test(large_device_numbers_compare_in_32_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
