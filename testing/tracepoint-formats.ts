import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './daemon.ts';

const FIXTURES = `${ROOT}test/fixtures`;
const COMMON =
  '\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n' +
  '\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n' +
  '\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n' +
  '\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n';

/** arch/arm64/kvm/trace_arm.h with kvm_arm_exception_type and kvm_arm_exception_class after preprocessing. */
export const KVM_EXIT_ARM64 =
  `name: kvm_exit\nID: 77\nformat:\n${COMMON}` +
  '\tfield:int ret;\toffset:8;\tsize:4;\tsigned:1;\n' +
  '\tfield:unsigned int esr_ec;\toffset:12;\tsize:4;\tsigned:0;\n' +
  '\tfield:unsigned long vcpu_pc;\toffset:16;\tsize:8;\tsigned:0;\n' +
  '\nprint fmt: "%s: HSR_EC: 0x%04x (%s), PC: 0x%016lx", __print_symbolic(REC->ret, {0, "IRQ" }, {1, "SERROR" }, ' +
  '{2, "TRAP" }, {0xbadca11, "HYP_GONE" }), REC->esr_ec, __print_symbolic(REC->esr_ec, { (0x00), "UNKNOWN" }, ' +
  '{ (0x01), "WFx" }, { (0x16), "HVC64" }, { (0x24), "DABT_LOW" }), REC->vcpu_pc\n';

/** arch/riscv/kvm/trace.h; f_show() prints the macros expanded. */
export const KVM_EXIT_RISCV =
  `name: kvm_exit\nID: 81\nformat:\n${COMMON}` +
  ['sepc', 'scause', 'stval', 'htval', 'htinst']
    .map((name, i) => `\tfield:unsigned long ${name};\toffset:${8 + 8 * i};\tsize:8;\tsigned:0;\n`)
    .join('') +
  '\nprint fmt: "SEPC:0x%lx, SCAUSE:0x%lx, STVAL:0x%lx, HTVAL:0x%lx, HTINST:0x%lx", REC->sepc, REC->scause, ' +
  'REC->stval, REC->htval, REC->htinst\n';

/** arch/loongarch/kvm/trace.h with kvm_trace_symbol_exit_types; Linux 6.15 and newer have a vcpu_id before it. */
export const KVM_EXIT_LOONGARCH =
  `name: kvm_exit\nID: 83\nformat:\n${COMMON}` +
  '\tfield:unsigned long pc;\toffset:8;\tsize:8;\tsigned:0;\n' +
  '\tfield:unsigned int reason;\toffset:16;\tsize:4;\tsigned:0;\n' +
  '\nprint fmt: "[%s]PC: 0x%08lx", __print_symbolic(REC->reason, { 64, "IDLE" }, { 65, "CACHE" }), REC->pc\n';

/** Format files of one kernel: `kvm/kvm_exit` and its text. */
export function formatsOf(kernel: '6.1' | '6.18'): Map<string, string> {
  const folder =
    kernel === '6.1'
      ? `${FIXTURES}/hosts/linux-nvme-vhost/t1/sys/kernel/tracing/events`
      : `${FIXTURES}/tracepoint-formats-6.18`;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /format$/.test(file),
  );
  return new Map(
    files.map((file) => [
      kernel === '6.1' ? dirname(file) : file.replace('.format', '').replace('.', '/'),
      readFileSync(join(folder, file), 'latin1'),
    ]),
  );
}
