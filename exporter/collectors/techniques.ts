import { MSEC_PER_SEC } from '../../kernel/units.ts';
import type { Families } from '../metrics/families.ts';
import { TECHNIQUE_STATES, TECHNIQUES } from '../metrics/techniques.ts';
import { techniquesOf } from '../model/stage.ts';
import type { VmStage } from '../model/stage-reading.ts';
import type { TechniqueVerdict } from '../model/technique.ts';

/** The verdict on each technique of one VM, and whether the declared phase contradicts it. */
export function addTechniques(families: Families, vm: string, stage: VmStage): void {
  for (const technique of TECHNIQUES) addVerdict(families, vm, stage.verdicts[technique]);
  for (const technique of stage.declared === undefined ? [] : techniquesOf(stage.declared)) {
    if (stage.verdicts[technique].state === 'unknown') continue;
    const isContradicted = stage.contradicted.includes(technique) ? 1 : 0;
    families.add('kvm_vm_phase_contradicted', { vm, technique }, isContradicted);
  }
}

function addVerdict(families: Families, vm: string, verdict: TechniqueVerdict): void {
  const { technique, since, changes, evidence, reason, was } = verdict;
  for (const state of TECHNIQUE_STATES)
    families.add('kvm_vm_technique_state', { vm, technique, state }, state === verdict.state ? 1 : 0);
  families.add('kvm_vm_technique_since_timestamp_seconds', { vm, technique }, since / MSEC_PER_SEC);
  for (const [change, count] of changes) {
    const [from = '', to = ''] = change.split(' ');
    families.add('kvm_vm_technique_changes_total', { vm, technique, from, to }, count);
  }
  for (const { name, value } of evidence)
    families.add('kvm_vm_technique_evidence_ratio', { vm, technique, evidence: name }, value);
  if (was !== undefined)
    families.add('kvm_vm_technique_last_in_force_ratio', { vm, technique, evidence: was.name }, was.value);
  if (reason !== undefined) families.add('kvm_vm_technique_unknown_info', { vm, technique, reason }, 1);
}
