import { compare, count } from '../../promql/promql.ts';
import { hostGauge } from '../queries.ts';
import { currentValue } from './current-value.ts';
import { above, type Panel } from './panel.ts';

/** The collectors that failed in the last scrape of the selected hosts. */
export function failingCollectors(color: 'orange' | 'red'): Panel {
  return currentValue(
    'Failing collectors',
    'Collectors that failed in the last scrape.',
    count(compare(hostGauge('kvm_telemetry_collector_success'), '==', 0), []),
    { emptyIsGood: 'none', thresholds: above([[1, color]]) },
  );
}
