/* The names under which device programs are pinned. */
#include "runtime/oci/device_program.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct config_device_rule base = {
	.allow = true, .type = 'c', .major = 10, .minor = 229, .access = BPF_DEVCG_ACC_READ};

static const char *name_of(const struct config_device_rule *rules, size_t n)
{
	static char name[DEVICE_PIN_BYTES_MAX];
	struct bpf_insn *insns = calloc(device_rules_insns_max(n), sizeof(*insns));
	size_t n_insns = device_rules_compile(rules, n, insns);

	assert_int_equal(device_pin_name(rules, n, insns, n_insns, name), 0);
	free(insns);
	return name;
}

static void equal_rules_have_one_name(void **state)
{
	const struct config_device_rule rules[] = {base, {.type = 'a', .major = -1, .minor = -1}};
	char name[DEVICE_PIN_BYTES_MAX];

	(void)state;
	strcpy(name, name_of(rules, 2));
	assert_string_equal(name_of(rules, 2), name);
	/* bpffs takes neither */
	assert_null(strpbrk(name, "./"));
}

static void every_part_of_a_rule_tells(void **state)
{
	struct config_device_rule others[6] = {base, base, base, base, base, base};
	const struct config_device_rule twice[] = {base, base};
	char name[DEVICE_PIN_BYTES_MAX];

	(void)state;
	strcpy(name, name_of(&base, 1));
	others[0].allow = false;
	others[1].type = 'b';
	others[2].major = -1;
	others[3].minor = 22;
	others[4].access = BPF_DEVCG_ACC_WRITE;
	others[5].major = 102;
	others[5].minor = 29;
	/* without the hash, which would tell them apart too */
	for (size_t i = 0; i < 6; i++)
		assert_string_not_equal(name_of(&others[i], 1) + 16, name + 16);
	assert_string_not_equal(name_of(twice, 2) + 16, name + 16);
	assert_string_not_equal(name_of(NULL, 0), name);
}

static void other_code_for_the_rules_has_another_name(void **state)
{
	struct bpf_insn insns[2] = {{.code = BPF_JMP | BPF_EXIT}, {.code = BPF_JMP | BPF_EXIT}};
	char first[DEVICE_PIN_BYTES_MAX];
	char second[DEVICE_PIN_BYTES_MAX];

	(void)state;
	assert_int_equal(device_pin_name(&base, 1, insns, 2, first), 0);
	insns[1].imm = 1;
	assert_int_equal(device_pin_name(&base, 1, insns, 2, second), 0);
	assert_string_not_equal(first, second);
}

static void too_many_rules_have_no_name(void **state)
{
	struct config_device_rule rules[64];
	struct bpf_insn insn = {.code = BPF_JMP | BPF_EXIT};
	char name[DEVICE_PIN_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < 64; i++)
		rules[i] = base;
	assert_int_equal(device_pin_name(rules, 64, &insn, 1, name), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_rules_have_one_name),
		cmocka_unit_test(every_part_of_a_rule_tells),
		cmocka_unit_test(other_code_for_the_rules_has_another_name),
		cmocka_unit_test(too_many_rules_have_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
