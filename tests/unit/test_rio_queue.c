/* SPDX-License-Identifier: Apache-2.0 */
/* What one descriptor's requests are held to, against a device that has so many places. */
#include <limits.h>
#include <string.h>

#include "target/rio_queue.h"
#include "tests/unit/unit.h"

enum { MANY = 512 };

struct item {
	struct rio r;
	struct user *user;
	struct item *next;		/* behind it among those that stand and wait */
	unsigned refused;
	bool waited;			/* a worker brought it to the device */
};

/* Somebody with a queue who keeps `depth` requests going. */
struct user {
	struct rio_queue q;
	struct item items[MANY];
	unsigned depth;
	unsigned ended, refused, elsewhere;
};

static struct {
	unsigned places, taken;
	struct item *in[MANY];
	struct item *standing, **last;	/* workers, each with one: they have the next places */
} device;

static struct item *item_of(struct rio *r)
{
	return (struct item *)(void *)r;
}

static void device_is(unsigned places)
{
	memset(&device, 0, sizeof(device));
	device.places = places;
	device.last = &device.standing;
}

static void device_in(struct item *i)
{
	device.in[device.taken++] = i;
}

static void device_stand(struct item *i)
{
	i->waited = true;
	i->next = NULL;
	*device.last = i;
	device.last = &i->next;
}

static void user_is(struct user *u, unsigned depth)
{
	memset(u, 0, sizeof(*u));
	rio_queue_init(&u->q, 7);
	u->depth = depth;
}

static void user_submit(struct user *u, struct item *i)
{
	i->user = u;
	i->refused = 0;
	i->waited = false;
	rio_queue_put(&u->q, &i->r);
}

static void user_begin(struct user *u)
{
	for (unsigned i = 0; i < u->depth; i++)
		user_submit(u, &u->items[i]);
}

/* To the device as much as the queue lets through; what it refuses comes back after the batch. */
static void user_go(struct user *u)
{
	static struct item *back[MANY];
	struct rio *r;

	for (;;) {
		unsigned n = 0;

		while ((r = rio_queue_take(&u->q))) {
			struct item *i = item_of(r);

			if (device.taken < device.places)
				device_in(i);
			else
				back[n++] = i;
		}
		if (!n)
			return;
		for (unsigned k = 0; k < n; k++) {
			struct item *i = back[k];

			u->refused++;
			if (!rio_queue_refused(&u->q, &i->r, ++i->refused)) {
				u->elsewhere++;
				device_stand(i);
			}
		}
	}
}

/* One that is on the device ends, any one; its user has the next. */
static void device_step(void)
{
	unsigned at = unit_draw() % device.taken;
	struct item *i = device.in[at], *s;
	struct user *u = i->user;

	device.in[at] = device.in[--device.taken];
	while ((s = device.standing) && device.taken < device.places) {
		device.standing = s->next;
		if (!device.standing)
			device.last = &device.standing;
		device_in(s);
	}
	if (!i->waited)
		rio_queue_ended(&u->q);
	u->ended++;
	user_submit(u, i);
	user_go(u);
}

static void test_in_order(void)
{
	static struct user u;

	device_is(MANY);
	user_is(&u, 300);
	user_begin(&u);
	for (unsigned i = 0; i < 300; i++)
		CU_ASSERT_PTR_EQUAL(rio_queue_take(&u.q), &u.items[i].r);
	CU_ASSERT_PTR_NULL(rio_queue_take(&u.q));
	CU_ASSERT_EQUAL(u.q.limit, UINT_MAX);
	/* The last hundred come back, and one more that is new: they before it, in their order. */
	user_submit(&u, &u.items[300]);
	for (unsigned i = 200; i < 300; i++)
		CU_ASSERT(rio_queue_refused(&u.q, &u.items[i].r, 1));
	CU_ASSERT_EQUAL(u.q.limit, 200 - 200 / 8);
	CU_ASSERT_PTR_NULL(rio_queue_take(&u.q));
	for (unsigned i = 0; i < 200; i++)
		rio_queue_ended(&u.q);
	CU_ASSERT_EQUAL(u.q.limit, 200 - 200 / 8 + 200 / RIO_QUEUE_STEP);
	for (unsigned i = 200; i <= 300; i++)
		CU_ASSERT_PTR_EQUAL(rio_queue_take(&u.q), &u.items[i].r);
	CU_ASSERT_PTR_NULL(rio_queue_take(&u.q));
	/* A second time in a row it need not wait here: a worker's has a place in the kernel. */
	CU_ASSERT(!rio_queue_refused(&u.q, &u.items[200].r, 2));
	CU_ASSERT_EQUAL(u.q.limit, 200 - 200 / 8 + 200 / RIO_QUEUE_STEP);
}

/* Not for want of a place: a hole in a file, a request that must be split. */
static void test_not_the_queue(void)
{
	static struct user u;

	user_is(&u, 1);
	user_begin(&u);
	CU_ASSERT_PTR_NOT_NULL(rio_queue_take(&u.q));
	CU_ASSERT(!rio_queue_refused(&u.q, &u.items[0].r, 1));
	CU_ASSERT_EQUAL(u.q.limit, UINT_MAX);
	/* Among many it looks like one, but only once; and so many are always let through. */
	user_is(&u, 100);
	user_begin(&u);
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_PTR_NOT_NULL(rio_queue_take(&u.q));
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(rio_queue_refused(&u.q, &u.items[i].r, 1),
				99 - i >= RIO_QUEUE_LEAST);
	CU_ASSERT_EQUAL(u.q.given, 0);
	for (unsigned i = 0; i < 100 - RIO_QUEUE_LEAST; i++) {
		struct rio *r = rio_queue_take(&u.q);

		CU_ASSERT_PTR_EQUAL_FATAL(r, &u.items[i].r);
		CU_ASSERT(!rio_queue_refused(&u.q, r, 2));
	}
	CU_ASSERT_PTR_NULL(rio_queue_take(&u.q));
	CU_ASSERT(u.q.limit >= RIO_QUEUE_LEAST - RIO_QUEUE_LEAST / 8);
}

/* Twice as much as there are places for: the device is kept busy, and nearly nothing is refused. */
static void test_finds_the_places(void)
{
	static struct user u;
	uint64_t busy = 0;

	device_is(128);
	user_is(&u, 256);
	user_begin(&u);
	user_go(&u);
	CU_ASSERT_EQUAL(u.refused, 128);
	CU_ASSERT_EQUAL(u.elsewhere, 0);
	for (unsigned i = 0; i < 100000; i++) {
		device_step();
		busy += device.taken;
	}
	CU_ASSERT(busy / 100000 >= 112);
	CU_ASSERT(u.refused < 128 + 100000 / 100);
	CU_ASSERT(u.elsewhere <= u.refused / 100);
	/* It shrinks, as others use it; and grows again. */
	device.places = 40;
	for (unsigned i = 0; i < 2000; i++)
		device_step();
	CU_ASSERT(u.q.limit <= 48);
	device.places = 128;
	for (unsigned i = 0; i < 3000; i++)
		device_step();
	CU_ASSERT(device.taken >= 100);
}

/* A witness asks the device now and then while data fill it: there is room. */
static void test_leaves_room(void)
{
	static struct user data, witness;
	unsigned asked = 0, room = 0;

	device_is(128);
	user_is(&data, 256);
	user_begin(&data);
	user_go(&data);
	for (unsigned i = 0; i < 200000; i++) {
		device_step();
		if (i % 100)
			continue;
		/* It comes, is served, and goes: it takes no place for long. */
		user_is(&witness, 1);
		user_begin(&witness);
		asked++;
		CU_ASSERT_PTR_NOT_NULL_FATAL(rio_queue_take(&witness.q));
		room += device.taken < device.places;
	}
	CU_ASSERT_EQUAL(asked, 2000);
	CU_ASSERT(room > asked * 9 / 10);
}

/* Two reactors with the same device: about half for each. */
static void test_shares(void)
{
	static struct user a, b;

	device_is(128);
	user_is(&a, 256);
	user_is(&b, 256);
	user_begin(&a);
	user_go(&a);
	user_begin(&b);			/* a has all of it */
	user_go(&b);
	CU_ASSERT(b.q.given + b.elsewhere > 0);
	for (unsigned i = 0; i < 400000; i++) {
		device_step();
		if (i == 200000)
			a.ended = b.ended = 0;
	}
	CU_ASSERT_EQUAL(a.ended + b.ended, 199999);
	CU_ASSERT(a.ended > 60000);
	CU_ASSERT(b.ended > 60000);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(test_in_order),
		UNIT(test_not_the_queue),
		UNIT(test_finds_the_places),
		UNIT(test_leaves_room),
		UNIT(test_shares),
	};

	return unit_run("rio_queue", tests, sizeof(tests) / sizeof(tests[0]));
}
