// iogen DEVICE CPU: random I/O for ever, 4 KiB, one at a time, past the page cache: three reads, one write.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BLOCK = 4096 };
static _Alignas(BLOCK) char block[BLOCK];

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int cpu = atoi(argv[2]);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
  int device = open(argv[1], O_RDWR | O_DIRECT);
  unsigned long long bytes = 0;
  if (device < 0 || ioctl(device, BLKGETSIZE64, &bytes) < 0) {
    perror(argv[1]);
    return 1;
  }
  unsigned random = 12345 + cpu;
  for (unsigned long count = 0;; count++) {
    random = random * 1103515245u + 12345u;
    off_t at = (off_t)((random >> 3) % (bytes / BLOCK)) * BLOCK;
    ssize_t done = count % 4 == 3 ? pwrite(device, block, BLOCK, at) : pread(device, block, BLOCK, at);
    if (done != BLOCK) {
      perror("I/O");
      return 1;
    }
  }
}
