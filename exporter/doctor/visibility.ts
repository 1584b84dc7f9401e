import type { Visibility } from '../model/visibility.ts';
import { hiddenInWords, seenInWords, unexaminedInWords } from '../model/visibility-in-words.ts';

/** The parts of a VM's I/O that the host sees, in words. */
export interface ReportedVisibility {
  /** Empty if nothing is certain. */
  readonly visible: string;
  /** One for each reason. */
  readonly hidden: readonly string[];
  /** Empty if all was examined. */
  readonly unexamined: string;
}

export function reportedVisibility(visibility: Visibility): ReportedVisibility {
  return {
    visible: seenInWords(visibility),
    hidden: hiddenInWords(visibility),
    unexamined: unexaminedInWords(visibility),
  };
}

export function visibilityLines({ visible, hidden, unexamined }: ReportedVisibility): string[] {
  if (hidden.length === 0 && unexamined === '') return ['visible   all of its I/O'];
  return [
    ...hidden.map((text) => `hidden    ${text}`),
    ...(unexamined === '' ? [] : [`unknown   not examined: ${unexamined}`]),
    `visible   ${visible === '' ? '' : `${visible}, `}CPU time, waits and affinity of its threads`,
  ];
}
