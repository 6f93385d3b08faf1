/*
 * The trampolines of the variadic members alone, on any architecture that has one: three variadic functions whose targets
 * are here, each called with 0 to 12 unnamed arguments. The assembly is that of the library.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

#ifdef __aarch64__
#define REGISTERS 8
__asm__(".include \"aarch64.s\"\n");
#else
#define REGISTERS 6
__asm__(".intel_syntax noprefix\n.include \"x86_64.s\"\n");
#endif
__asm__("trampoline startl, startl_with\n"
	"trampoline createl, createl_with\n"
	"trampoline waitl, waitl_with\n");
#ifndef __aarch64__
__asm__(".att_syntax\n");
#endif

struct args {
	uint64_t registers[REGISTERS];
	const uint64_t *stack;
};

bool startl(void *c, int useinit, ...);
bool createl(void *c, const char *t, const char *bdevtype, void *specs, int flags, ...);
int waitl(void *c, void *options, const char *program, const char *arg, ...);

static char got[512];
static int bad;

static uint64_t at(const struct args *a, int i)
{
	return i < REGISTERS ? a->registers[i] : a->stack[i - REGISTERS];
}

static void words(const struct args *a, int first)
{
	got[0] = 0;
	for (int i = first; at(a, i); i++)
		sprintf(got + strlen(got), "%s%s", i == first ? "" : " ", (const char *)at(a, i));
}

/* The stack must be aligned for whatever a target does. */
static bool aligned(void)
{
	volatile _Alignas(16) char place[16] = { 0 };

	return (uintptr_t)place % 16 == 0 && (uintptr_t)__builtin_frame_address(0) % 16 == 0;
}

__attribute__((used)) bool startl_with(const struct args *a)
{
	words(a, 2);
	return aligned() && at(a, 0) == 0xc0ffee && (int)at(a, 1) == -7;
}

__attribute__((used)) bool createl_with(const struct args *a)
{
	words(a, 5);
	return aligned() && at(a, 0) == 0xc0ffee && !strcmp((char *)at(a, 1), "t") && !at(a, 2) && at(a, 3) == 0xbde &&
	       (int)at(a, 4) == -7;
}

__attribute__((used)) int waitl_with(const struct args *a)
{
	words(a, 4);
	return aligned() && at(a, 0) == 0xc0ffee && at(a, 1) == 0x0b7 && !strcmp((char *)at(a, 2), "p") &&
	       !strcmp((char *)at(a, 3), "arg") ? -77 : 0;
}

static void expect(const char *what, int n, bool ok)
{
	char want[512] = "";

	for (int i = 1; i <= n; i++)
		sprintf(want + strlen(want), "%sa%d", i == 1 ? "" : " ", i);
	if (!ok || strcmp(got, want)) {
		printf("%s with %d: %s, got '%s'\n", what, n, ok ? "named arguments are right" : "wrong", got);
		bad++;
	}
}

#define NONE ((char *)0)
#define TRY(n, ...) do { \
	expect("startl", n, startl((void *)0xc0ffee, -7, ##__VA_ARGS__, NONE)); \
	expect("createl", n, createl((void *)0xc0ffee, "t", NONE, (void *)0xbde, -7, ##__VA_ARGS__, NONE)); \
	expect("waitl", n, waitl((void *)0xc0ffee, (void *)0x0b7, "p", "arg", ##__VA_ARGS__, NONE) == -77); \
	} while (0)

int main(void)
{
	TRY(0);
	TRY(1, W1);
	TRY(2, W2);
	TRY(3, W3);
	TRY(4, W4);
	TRY(5, W5);
	TRY(6, W6);
	TRY(7, W7);
	TRY(8, W8);
	TRY(9, W9);
	TRY(10, W10);
	TRY(11, W11);
	TRY(12, W12);
	printf("%d bad\n", bad);
	return bad != 0;
}
