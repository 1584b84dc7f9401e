// A plugin for QEMU 9 or later. It counts the instructions that each emulated CPU executes, and the
// instructions in watched functions and their callees.
//   -plugin instructions.so,counts=FILE,watch=FILE
// counts: kept up to date; a line per CPU: all instructions, calls of watched functions, instructions of the
// calls that no interrupt made long, number of these calls. watch: the first address and the length of each
// function, in hexadecimal, one function per line. The file must exist before the functions first run. No
// Debian package has the header that declares the functions below.
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
typedef struct {
  struct qemu_plugin_scoreboard *score;
  size_t offset;
} qemu_plugin_u64;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void executed(unsigned cpu, void *data);
int qemu_plugin_num_vcpus(void);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
uint64_t qemu_plugin_u64_get(qemu_plugin_u64 entry, unsigned cpu);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t length);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*translated)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
    struct qemu_plugin_tb *tb, enum qemu_plugin_op op, qemu_plugin_u64 entry, uint64_t immediate);
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *tb, executed *callback, enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(
    struct qemu_plugin_insn *insn, executed *callback, enum qemu_plugin_cb_flags flags, void *data);

enum { CPUS = 2, EVERY_US = 1000, FUNCTIONS = 256, RETURN = 0xc3 };
// A longer call contains an interrupt: calls without one have at most some 3,000 instructions, calls with one
// have 5,000 and more.
enum { LONG = 6000 };
__attribute__((visibility("default"))) int qemu_plugin_version = 4;
static qemu_plugin_u64 count;
static int file;
static const char *watch = "";
static struct { uint64_t from, length; } functions[FUNCTIONS];
static atomic_int watched;
// Per CPU. Only the CPU's own thread writes it.
static struct { uint64_t since, calls, inside, whole; } cpus[CPUS];

static void entered(unsigned cpu, void *unused) {
  (void)unused;
  if (cpus[cpu].since == 0) cpus[cpu].since = qemu_plugin_u64_get(count, cpu);
}

static void returns(unsigned cpu, void *unused) {
  (void)unused;
  if (cpus[cpu].since == 0) return;
  uint64_t length = qemu_plugin_u64_get(count, cpu) - cpus[cpu].since;
  cpus[cpu].since = 0;
  cpus[cpu].calls++;
  if (length > LONG) return;
  cpus[cpu].inside += length;
  cpus[cpu].whole++;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  size_t length = qemu_plugin_tb_n_insns(tb);
  struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, length - 1);
  uint64_t from = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0)), to = qemu_plugin_insn_vaddr(last);
  uint8_t code = 0;
  bool is_return = qemu_plugin_insn_data(last, &code, 1) == 1 && code == RETURN;
  for (int i = 0; i < atomic_load(&watched); i++) {
    // Registered first, so that it runs before the instructions of this block are added.
    if (from == functions[i].from) qemu_plugin_register_vcpu_tb_exec_cb(tb, entered, QEMU_PLUGIN_CB_NO_REGS, NULL);
    if (is_return && to - functions[i].from < functions[i].length)
      qemu_plugin_register_vcpu_insn_exec_cb(last, returns, QEMU_PLUGIN_CB_NO_REGS, NULL);
  }
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, count, length);
}

static void read_watch(void) {
  FILE *list = fopen(watch, "r");
  if (list == NULL) return;
  int n = 0;
  while (n < FUNCTIONS && fscanf(list, "%" SCNx64 " %" SCNx64, &functions[n].from, &functions[n].length) == 2) n++;
  fclose(list);
  atomic_store(&watched, n);
}

static void *tell(void *unused) {
  for (;;) {
    if (atomic_load(&watched) == 0) read_watch();
    char text[CPUS * 96];
    int length = 0;
    for (int cpu = 0; cpu < CPUS && cpu < qemu_plugin_num_vcpus(); cpu++)
      length += sprintf(text + length, "%020" PRIu64 " %020" PRIu64 " %020" PRIu64 " %020" PRIu64 "\n",
          qemu_plugin_u64_get(count, cpu), cpus[cpu].calls, cpus[cpu].inside, cpus[cpu].whole);
    if (pwrite(file, text, length, 0) != length) return unused;
    usleep(EVERY_US);
  }
}

__attribute__((visibility("default"))) int qemu_plugin_install(
    uint64_t id, const struct qemu_info *info, int argc, char **argv) {
  (void)info;
  if (argc != 2 || strncmp(argv[0], "counts=", 7) != 0 || strncmp(argv[1], "watch=", 6) != 0) return 1;
  file = open(argv[0] + 7, O_CREAT | O_WRONLY, 0644);
  watch = argv[1] + 6;
  if (file < 0) return 1;
  count.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  pthread_t thread;
  return pthread_create(&thread, NULL, tell, NULL);
}
