import { moduleParameterNumber, readModuleParameters } from '../../probes/module-parameters.ts';
import type { Collector } from './collector.ts';

/** Longer values are tables and are not exported. */
const MAX_WORD = 32;

/** Current parameters of the kernel modules on the I/O path. */
export const moduleParameters: Collector = {
  name: 'module_parameters',
  collect({ host, families }) {
    for (const { module, parameter, value } of readModuleParameters(host)) {
      const number = moduleParameterNumber(value);
      if (number !== undefined) {
        families.add('kvm_module_parameter', { module, parameter }, number);
      } else if (value.length <= MAX_WORD) {
        families.add('kvm_module_parameter_info', { module, parameter, value }, 1);
      }
    }
  },
};
