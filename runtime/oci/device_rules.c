#include "runtime/oci/device_rules.h"

#include <stdint.h>

#define R BPF_DEVCG_ACC_READ
#define W BPF_DEVCG_ACC_WRITE
#define M BPF_DEVCG_ACC_MKNOD
#define RWM (R | W | M)

/* What every container may use whatever its rules say; the nodes themselves are another matter. */
static const struct config_device_rule always[] = {
	{.allow = true, .type = 'c', .major = -1, .minor = -1, .access = M},
	{.allow = true, .type = 'b', .major = -1, .minor = -1, .access = M},
	{.allow = true, .type = 'c', .major = 1, .minor = 3, .access = RWM},	/* null */
	{.allow = true, .type = 'c', .major = 1, .minor = 5, .access = RWM},	/* zero */
	{.allow = true, .type = 'c', .major = 1, .minor = 7, .access = RWM},	/* full */
	{.allow = true, .type = 'c', .major = 1, .minor = 8, .access = RWM},	/* random */
	{.allow = true, .type = 'c', .major = 1, .minor = 9, .access = RWM},	/* urandom */
	{.allow = true, .type = 'c', .major = 5, .minor = 0, .access = RWM},	/* tty */
	{.allow = true, .type = 'c', .major = 5, .minor = 1, .access = RWM},	/* console */
	{.allow = true, .type = 'c', .major = 5, .minor = 2, .access = RWM},	/* ptmx */
	{.allow = true, .type = 'c', .major = 136, .minor = -1, .access = RWM}, /* pts */
};

#define N_ALWAYS (sizeof(always) / sizeof(always[0]))

/* r2 type, r3 access bits still undecided, r4 major, r5 minor, r0 the answer */
enum { REG_ANSWER = 0, REG_CTX = 1, REG_TYPE, REG_LEFT, REG_MAJOR, REG_MINOR, REG_SCRATCH };

struct emitter {
	struct bpf_insn *insns;
	size_t n;
};

static void emit(
	struct emitter *out, unsigned code, unsigned dst, unsigned src, int16_t off, int32_t imm)
{
	out->insns[out->n++] = (struct bpf_insn){.code = (__u8)code,
		.dst_reg = dst & 0xf,
		.src_reg = src & 0xf,
		.off = off,
		.imm = imm};
}

static void emit_answer(struct emitter *out, int allow)
{
	emit(out, BPF_ALU64 | BPF_MOV | BPF_K, REG_ANSWER, 0, 0, allow);
	emit(out, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_head(struct emitter *out)
{
	const unsigned load = BPF_LDX | BPF_MEM | BPF_W;

	emit(out, load, REG_TYPE, REG_CTX, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(out, BPF_ALU64 | BPF_MOV | BPF_X, REG_LEFT, REG_TYPE, 0, 0);
	emit(out, BPF_ALU64 | BPF_AND | BPF_K, REG_TYPE, 0, 0, 0xffff);
	emit(out, BPF_ALU64 | BPF_RSH | BPF_K, REG_LEFT, 0, 0, 16);
	emit(out, load, REG_MAJOR, REG_CTX, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(out, load, REG_MINOR, REG_CTX, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

/* Skip the rest of the rule unless the field equals; 32-bit compare: the fields are 32 bits. */
static void emit_match(struct emitter *out, unsigned reg, uint32_t value, size_t end)
{
	emit(out, BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, (int16_t)(end - out->n - 1), (int32_t)value);
}

static size_t rule_insns(const struct config_device_rule *r)
{
	const bool any = r->type == 'a';

	/* up to three matches, then four: and, jne, mov, exit or jset, ja, mov, exit */
	return (size_t)!any + (!any && r->major >= 0) + (!any && r->minor >= 0) + 4;
}

static void emit_rule(struct emitter *out, const struct config_device_rule *r)
{
	const size_t end = out->n + rule_insns(r);

	if (r->type != 'a') {
		emit_match(out, REG_TYPE, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
			end);
		if (r->major >= 0)
			emit_match(out, REG_MAJOR, (uint32_t)r->major, end);
		if (r->minor >= 0)
			emit_match(out, REG_MINOR, (uint32_t)r->minor, end);
	}
	if (r->allow) {
		/* What this rule allows is decided; nothing left means allowed. */
		emit(out, BPF_ALU64 | BPF_AND | BPF_K, REG_LEFT, 0, 0, (int32_t)(~r->access & RWM));
		emit(out, BPF_JMP | BPF_JNE | BPF_K, REG_LEFT, 0, 2, 0);
		emit_answer(out, 1);
	} else {
		/* JSET jumps when a bit is common: over the jump that skips the denial. */
		emit(out, BPF_JMP | BPF_JSET | BPF_K, REG_LEFT, 0, 1, (int32_t)r->access);
		emit(out, BPF_JMP | BPF_JA, 0, 0, 2, 0);
		emit_answer(out, 0);
	}
}

size_t device_rules_insns_max(size_t n)
{
	return DEVICE_INSNS_FIXED + (n + N_ALWAYS) * DEVICE_INSNS_PER_RULE;
}

/* Does the last rule that is about all devices allow all access, with no denial behind it? */
static bool allows_everything(const struct config_device_rule *rules, size_t n)
{
	while (n-- > 0) {
		if (!rules[n].allow)
			return false;
		if (rules[n].type == 'a' && rules[n].access == RWM)
			return true;
	}
	return false;
}

size_t device_rules_compile(
	const struct config_device_rule *rules, size_t n, struct bpf_insn *insns)
{
	struct emitter out = {.insns = insns};

	if (allows_everything(rules, n))
		return 0;
	emit_head(&out);
	for (size_t i = N_ALWAYS; i-- > 0;)
		emit_rule(&out, &always[i]);
	/* Last to first: the first that decides an access bit here is the last one written. */
	for (size_t i = n; i-- > 0;)
		emit_rule(&out, &rules[i]);
	emit_answer(&out, 0);
	return out.n;
}
