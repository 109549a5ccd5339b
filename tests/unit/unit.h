/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a unit test program: a table of tests, run by CUnit, closed by the line that `make
 *check` adds up.
 *
 *	UNIT_MAIN("cursor",
 *		UNIT(test_read_past_end),
 *		UNIT(test_truncated_write))
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct unit_test {
	const char *name;
	void (*fn)(void);
};

#define UNIT(fn) { #fn, fn }

/* Runs the tests of one suite; 0 when none failed. */
static inline int unit_run(const char *suite_name, const struct unit_test *tests, unsigned n)
{
	CU_pSuite suite;
	unsigned run, failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		abort();
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (unsigned i = 0; i < n; i++)
		if (!suite || !CU_add_test(suite, tests[i].name, tests[i].fn))
			abort();
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	printf("%s: %u passed, %u failed, %u skipped\n", suite_name, run - failed, failed, n - run);
	return failed || run != n;
}

/* Random numbers, the same ones in each run of a program (xorshift). */
static inline uint32_t unit_draw(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

#define UNIT_MAIN(suite, ...)									\
	int main(void)										\
	{											\
		static const struct unit_test unit_tests[] = { __VA_ARGS__ };			\
		return unit_run(suite, unit_tests, sizeof(unit_tests) / sizeof(unit_tests[0]));	\
	}

#endif
