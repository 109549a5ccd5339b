/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config_frame.h"

#include <sys/stat.h>
#include <unistd.h>

#define UUID_OF_A_PLAIN "047228c334858945bd2b6a14732e402e"

/* ---- files ---- */

static char dir[] = "/tmp/holdfast-config-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	f = fopen(path, "w");
	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

/* Loads dir/c.yaml; "@" in expected stands for the directory; expected NULL: it must be good. */
static struct config *load(const char *name, const char *expected)
{
	char path[128], want[2048] = "";
	struct config *c;
	size_t len, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	free(messages);
	f = open_memstream(&messages, &len);
	c = config_load(path, f);
	fclose(f);
	for (const char *p = expected ? expected : ""; *p; p++)
		n += (size_t)snprintf(want + n, sizeof(want) - n, *p == '@' ? "%s" : "%.1s",
				      *p == '@' ? dir : p);
	compare(name, want);
	CU_ASSERT_EQUAL(!c, !!expected);
	return c;
}

static void load_text(const char *text, mode_t mode, const char *expected)
{
	write_file("c.yaml", text, mode);
	config_free(load("c.yaml", expected));
}

static void test_file_itself(void)
{
	char *big = malloc((1 << 20) + 2);

	load("missing.yaml", "@/missing.yaml: cannot open: No such file or directory (expected a "
			     "configuration file)\n");
	load(".", "@/.: is a directory (expected a configuration file)\n");
	memset(big, '#', (1 << 20) + 1);
	big[(1 << 20) + 1] = '\0';
	load_text(big, 0600, "@/c.yaml: longer than 1048576 bytes (expected fewer)\n");
	free(big);
	load_text("", 0600, "@/c.yaml: the file is empty (expected a mapping of keys to values)\n");
	load_text(NO_TARGETS, 0644, NULL);
}

static void test_file_fifo(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/fifo", dir);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	load("fifo", "@/fifo: is not a regular file (expected a configuration file)\n");
	unlink(path);
}

static void test_secret_modes(void)
{
	static const char inside[] = TARGET "auth: {user: u, secret: twelve-bytes}\n";
	static const char mutual[] = TARGET
		"auth: {user: u, secret_file: s, mutual_user: m, mutual_secret: twelve-bytes}\n";

	load_text(inside, 0600, NULL);
	load_text(inside, 0400, NULL);
	load_text(inside, 0640,
		  "@/c.yaml:3: targets[0].auth.secret: a secret in a file of mode 0640, which "
		  "others can read "
		  "(expected mode 0600, or secret_file)\n");
	load_text(inside, 0604,
		  "@/c.yaml:3: targets[0].auth.secret: a secret in a file of mode 0604, which "
		  "others can read "
		  "(expected mode 0600, or secret_file)\n");
	write_file("s", "other-secret", 0600);
	load_text(mutual, 0600, NULL);
	load_text(mutual, 0644,
		  "@/c.yaml:3: targets[0].auth.mutual_secret: a secret in a file of mode 0644, "
		  "which others can "
		  "read (expected mode 0600, or mutual_secret_file)\n");
}

static void test_secret_files(void)
{
	static const char text[] =
		TARGET "auth: {user: u, secret_file: s, mutual_user: m, mutual_secret_file: m}\n";
	struct config *c;
	char line[300];

	write_file("s", "secret-one-1\n", 0600);
	write_file("m", "secret-two-2\r\n", 0400);
	write_file("c.yaml", text, 0644);
	c = load("c.yaml", NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(c->targets[0].auth.secret, "secret-one-1");
	CU_ASSERT_STRING_EQUAL(c->targets[0].auth.mutual_secret, "secret-two-2");
	config_free(c);
	write_file("m", "secret-one-1", 0600);
	load_text(text, 0644,
		  "@/c.yaml:3: targets[0].auth.mutual_secret_file: the same secret in both "
		  "directions "
		  "(expected two different ones)\n");
	write_file("m", "secret-two-2", 0640);
	load_text(text, 0644,
		  "@/c.yaml:3: targets[0].auth.mutual_secret_file: @/m has mode 0640: others can "
		  "read the secret "
		  "(expected 0600)\n");
#define HOLDS(what) \
	"@/c.yaml:3: targets[0].auth.mutual_secret_file: the secret in @/m is " what \
	" (expected one line of 12 to 255 bytes)\n"
	write_file("m", "elevenbytes\n", 0600);
	load_text(text, 0644, HOLDS("too short"));
	write_file("m", "two lines in\nhere", 0600);
	load_text(text, 0644, HOLDS("more than one line"));
	write_file("m", "", 0600);
	load_text(text, 0644, HOLDS("too short"));
	memset(line, 'x', 256);
	line[256] = '\0';
	write_file("m", line, 0600);
	load_text(text, 0644, HOLDS("too long"));
	line[255] = '\n';
	write_file("m", line, 0600);
	load_text(text, 0644, NULL);
	load_text(TARGET "auth: {user: u, secret_file: missing}\n", 0600,
		  "@/c.yaml:3: targets[0].auth.secret_file: "
		  "cannot open @/missing: No such file or directory (expected a file that holds "
		  "the secret)\n");
	load_text(TARGET "auth: {user: u, secret_file: /tmp}\n", 0600,
		  "@/c.yaml:3: targets[0].auth.secret_file: "
		  "/tmp is not a regular file (expected a file that holds the secret)\n");
}

static void test_own_dirs(void)
{
	char text[400];

#define OWN(state, data, control) \
	snprintf(text, sizeof(text), "state_dir: %s/" state "\ndata_dir: %s/" data \
		 "\ncontrol: %s/" control "\n" NO_TARGETS, dir, dir, dir)
	OWN("run", "run/data", "run/control.sock");
	load_text(text, 0644, NULL);
	OWN("run", "data//", "other/control.sock");
	load_text(text, 0644, NULL);
	OWN("no/state", "no/data", "no/such/control.sock");
	load_text(text, 0644,
		  "@/c.yaml:1: state_dir: @/no/state cannot be created, as there is no directory "
		  "@/no (expected one: is the file system mounted?)\n"
		  "@/c.yaml:2: data_dir: @/no/data cannot be created, as there is no directory "
		  "@/no (expected one: is the file system mounted?)\n"
		  "@/c.yaml:3: control: @/no/such cannot be created, as there is no directory "
		  "@/no (expected one: is the file system mounted?)\n");
	OWN("c.yaml", "run", "c.yaml/control.sock");
	load_text(text, 0644, "@/c.yaml:1: state_dir: @/c.yaml is not a directory (expected one)\n"
			      "@/c.yaml:3: control: @/c.yaml is not a directory (expected one)\n");
}

static void load_lun(const char *rest, const char *expected)
{
	char text[1024];

	snprintf(text, sizeof(text), "data_dir: %s\n" LUN "%s\n", dir, rest);
	load_text(text, 0644, expected);
}

static void test_lun_files(void)
{
	char path[128];

	write_file("disk", "", 0600);
	snprintf(path, sizeof(path), "%s/disk", dir);
	load_lun("path: disk}", "@/c.yaml:5: targets[0].luns[0].path: @/disk is empty "
				"(expected a file that is the disk, or none and a size)\n");
	if (truncate(path, 1 << 20))
		abort();
	load_lun("path: disk}", NULL);
	load_lun("path: disk, size: 1M}", NULL);
	load_lun("path: disk, size: 2M}",
		 "@/c.yaml:5: targets[0].luns[0].size: 2M, but @/disk has 1M only "
		 "(expected at most that; existing files are not grown)\n");
	load_lun("path: new, size: 2M}", NULL);
	load_lun("path: new}",
		 "@/c.yaml:5: targets[0].luns[0].path: @/new does not exist "
		 "(expected an existing file or block device, or a size to create a file)\n");
	load_lun("path: new, size: 2M, readonly: on}",
		 "@/c.yaml:5: targets[0].luns[0].path: @/new does not exist "
		 "(expected an existing file or block device, as it is readonly)\n");
	load_lun("path: ., size: 2M}", "@/c.yaml:5: targets[0].luns[0].path: @ is a directory "
				       "(expected a file or a block device)\n");
	load_lun("path: /dev/null, size: 2M}",
		 "@/c.yaml:5: targets[0].luns[0].path: /dev/null is neither "
		 "(expected a file or a block device)\n");
	load_lun("path: disk/x, size: 2M}",
		 "@/c.yaml:5: targets[0].luns[0].path: @/disk/x: Not a directory "
		 "(expected a file or a block device)\n");
}

/* What the daemon would not create when it starts, --check does not call good. */
static void test_lun_new_file(void)
{
	char text[512];

	load_lun("path: no/dir/new, size: 2M}",
		 "@/c.yaml:5: targets[0].luns[0].path: @/no/dir/new cannot be created, as there is "
		 "no directory @/no/dir (expected one: is the file system mounted?)\n");
	load_lun("path: /dev/nothing, size: 2M}",
		 "@/c.yaml:5: targets[0].luns[0].path: /dev/nothing does not exist (expected a "
		 "block device; no file is created in /dev)\n");
	load_lun("path: /dev/no-group/nothing, size: 2M}",
		 "@/c.yaml:5: targets[0].luns[0].path: /dev/no-group/nothing does not exist "
		 "(expected a block device; no file is created in /dev/no-group)\n");
	/* These two it makes itself. */
	snprintf(text, sizeof(text), "data_dir: %s/none\n" LUN "path: new, size: 2M}\n", dir);
	load_text(text, 0644, NULL);
	snprintf(text, sizeof(text), "state_dir: %s/none\n" LUN "path: new, size: 2M}\n", dir);
	load_text(text, 0644, NULL);
}

/* A disk that was served and is gone is not replaced by an empty one. */
static void test_lun_gone(void)
{
	static const char known[] = "lu-" UUID_OF_A_PLAIN ".state";
	char text[512], path[128];

	snprintf(text, sizeof(text), "state_dir: %s\n" LUN "path: gone, size: 2M}\n", dir);
	load_text(text, 0644, NULL);
	write_file(known, "", 0600);
	load_text(text, 0644,
		  "@/c.yaml:5: targets[0].luns[0].path: @/gone does not exist, but this LUN was "
		  "served before, as @/lu-" UUID_OF_A_PLAIN ".state shows (expected its disk: is "
		  "the file system mounted? For a new, empty one remove @/lu-" UUID_OF_A_PLAIN
		  ".state, and its reservations with it)\n");
	write_file("gone", "", 0600);
	snprintf(path, sizeof(path), "%s/gone", dir);
	if (truncate(path, 2 << 20))
		abort();
	load_text(text, 0644, NULL);
}

static void test_lun_same_file(void)
{
	char disk[128], other[128];

	write_file("disk", "", 0600);
	snprintf(disk, sizeof(disk), "%s/disk", dir);
	snprintf(other, sizeof(other), "%s/soft", dir);
	if (truncate(disk, 1 << 20) || symlink("disk", other))
		abort();
#define SAME(path)                                                                                 \
	"@/c.yaml:6: targets[0].luns[1].path: \"" path                                             \
	"\" is the file of targets[0].luns[0] on line 5 already "                                  \
	"(expected a different one)\n"
	load_lun("path: disk}\n  - {lun: 1, name: b, path: soft}", SAME("soft"));
	unlink(other);
	if (link(disk, other))
		abort();
	load_lun("path: disk}\n  - {lun: 1, name: b, path: soft}", SAME("soft"));
	unlink(other);
	/* A directory by another name, and no file in it yet. */
	if (symlink(".", other))
		abort();
	load_lun("path: new, size: 1M}\n  - {lun: 1, name: b, path: soft/new, size: 1M}",
		 SAME("soft/new"));
	load_lun("path: new, size: 1M}\n  - {lun: 1, name: b, path: soft/old, size: 1M}", NULL);
	unlink(other);
}

static const struct unit_test tests[] = {
	UNIT(test_file_itself),
	UNIT(test_file_fifo),
	UNIT(test_secret_modes),
	UNIT(test_own_dirs), UNIT(test_secret_files),
	UNIT(test_lun_files),
	UNIT(test_lun_new_file),
	UNIT(test_lun_gone),
	UNIT(test_lun_same_file),
};

int main(void)
{
	static const char *const made[] = { "c.yaml", "s", "m", "disk", "gone",
					    "lu-" UUID_OF_A_PLAIN ".state" };
	int failed;

	if (!mkdtemp(dir))
		abort();
	failed = unit_run("config_files", tests, sizeof(tests) / sizeof(tests[0]));
	for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
		unlink(path);
	}
	rmdir(dir);
	free(messages);
	return failed;
}
