import { VariableHide, VariableRefresh, VariableSort } from '@grafana/schema';
import dashgen from 'grafana-dash-gen';
import { labelValues } from '../promql/promql.ts';
import { DATASOURCE } from './panels/panel.ts';
import { OF_HOSTS, OF_VMS } from './queries.ts';

export type Variable =
  | InstanceType<typeof dashgen.Templates.Custom>
  | InstanceType<typeof dashgen.Templates.Query>;

interface QueryVariableSpec {
  readonly name: string;
  readonly label: string;
  readonly query: string;
  readonly description: string;
  /** Several values, with all of them as the default; otherwise one value. */
  readonly multi?: boolean;
  readonly regex?: string;
  /** The pattern of all values: `.*` also matches series without the label. */
  readonly all?: '.+' | '.*';
  readonly sort?: VariableSort;
}

const ALL = { selected: true, text: ['All'], value: ['$__all'] };

/**
 * Queries the data source whenever the time range changes, so that VMs and hosts that have ended in the range
 * can be selected.
 */
class QueryVariable extends dashgen.Templates.Query {
  constructor(private readonly spec: QueryVariableSpec) {
    const { name, label, query, regex = '', multi = true, all = '.+' } = spec;
    const allValue = multi ? all : null;
    super(query, { name, label, datasource: DATASOURCE.uid, includeAll: multi, multi, allValue, regex });
  }

  override generate(): ReturnType<InstanceType<typeof dashgen.Templates.Query>['generate']> {
    const { allFormat: _, allValue, ...state } = super.generate();
    const { multi = true, sort = VariableSort.naturalAsc, query, description } = this.spec;
    return {
      ...state,
      ...(multi ? { allValue, current: ALL } : {}),
      datasource: DATASOURCE,
      definition: query,
      description,
      sort,
      hide: VariableHide.dontHide,
      refresh: VariableRefresh.onTimeRangeChanged,
    } as unknown as ReturnType<InstanceType<typeof dashgen.Templates.Query>['generate']>;
  }
}

export const query = (spec: QueryVariableSpec): Variable => new QueryVariable(spec);

/** A variable with a fixed list of texts by value. The first one is the default. */
export function choice(
  name: string,
  label: string,
  description: string,
  texts: Readonly<Record<string, string>>,
): Variable {
  const options = Object.entries(texts).map(([value, text], i) => ({ text, value, selected: i === 0 }));
  const first = options[0];
  return new dashgen.Templates.Custom({
    name,
    label,
    description,
    options,
    multi: false,
    hide: VariableHide.dontHide,
    ...(first === undefined ? {} : { defaultValue: first.value }),
  });
}

export const datasource = (): Variable =>
  new dashgen.Templates.Custom({
    name: 'datasource',
    label: 'Data source',
    type: 'datasource',
    query: 'prometheus',
    regex: '',
    description: 'A Prometheus server that scrapes kvm-telemetry.',
    refresh: VariableRefresh.onDashboardLoad,
    hide: VariableHide.dontHide,
  });

/**
 * Empty where no series has the label: all are selected then. @param of the query, if it does not select a series of
 * each host
 */
export const cluster = (of: string = labelValues('kvm_telemetry_build_info', 'cluster')): Variable =>
  query({
    name: 'cluster',
    label: 'Cluster',
    description: 'The external label cluster, in a store of several clusters.',
    query: of,
    all: '.*',
  });

export const job = (
  of: string = labelValues('kvm_telemetry_build_info', 'job', { cluster: OF_HOSTS.cluster }),
): Variable =>
  query({
    name: 'job',
    label: 'Job',
    description: 'The scrape job of kvm-telemetry.',
    query: of,
  });

/** Named after the label, which is the host's scrape address. */
export const instance = (): Variable =>
  query({
    name: 'instance',
    label: 'Instance',
    description: 'The host: the address of its exporter in Prometheus.',
    query: labelValues('kvm_telemetry_build_info', 'instance', {
      cluster: OF_HOSTS.cluster,
      job: OF_HOSTS.job,
    }),
  });

export const vm = (): Variable =>
  query({
    name: 'vm',
    label: 'VM',
    description: 'VMs of the hosts.',
    query: labelValues('kvm_vm_vcpus', 'vm', OF_HOSTS),
  });

export const stage = (of: string = labelValues('kvm_vm_stage_info', 'stage', OF_VMS)): Variable =>
  query({
    name: 'stage',
    label: 'Stage',
    description: 'Stages of the chosen VMs in the time range.',
    query: of,
  });
