// `npm run bench`: the cost of a scrape, on generated hosts. Arguments: --vms 100,1000 --rounds 20
//   --node-exporter PATH.
// `npm run bench -- real`: the same on real VMs of this machine, with and without BPF. Arguments: --vms 100 --rounds 12.
// `npm run bench -- qmp`: the same with a monitor for each VM. Arguments: --vms 200 --rounds 20 --births
//   1000.
// `npm run bench -- hist`: the cost of parsing a large histogram of the kernel.
// `npm run bench -- domstats`: how long the output of `virsh domstats` holds up the daemon. Arguments: --domains 1000
//   --vcpus 8,16 --rounds 10.
// `npm run bench -- rules`: the cost of the rules in Prometheus. Arguments: --hosts 5,20 --minutes 6.
// `npm run bench -- simhost`: whether a simulated host keeps up with real time. Arguments: --scenario large
//   --seconds 60.
// `npm run bench -- fleet`: the cost of the fleet dashboard in Prometheus. Arguments: --hosts 1000 --vms 20.
// `npm run bench -- fleet-agents`: hosts through vmagent and Prometheus' agent into VictoriaMetrics, with an outage. Arguments:
//   --hosts 200 --interval 5 --before 60 --outage 120.
// `npm run bench -- fleet-faults`: a store that is slow, full or refuses samples, wrong clocks, twins of agents, a rogue host. Arguments:
//   --seconds 45 --only slow.
// `npm run bench -- fleet-capacity`: bytes a sample in Prometheus and VictoriaMetrics, and what fleets need. Arguments: --hours 2 --vms 10.
// `npm run bench -- fleet-store`: memory of VictoriaMetrics and Prometheus while a fleet writes to it. Arguments: --hosts 50,100 --minutes 6.
// `npm run bench -- profiles`: series and cost of a scrape by profile, on a simulated host of 100 VMs. Arguments: --rounds 20.
// `npm run bench -- sets`: what each set of metrics beside the I/O path adds to a scrape. Arguments: --rounds 40.
// `npm run bench -- lab-io-path`: exits per I/O before and after a change, in the lab. Arguments: --seconds 8
//   --repeat 3 --only settings --kvm-stat PATH.
// `npm run bench -- lab-verdicts`: the share of wrong verdicts on the lab's Linux guest. Arguments: --minutes 60.
// `npm run bench -- lab-overhead`: the cost of tracing for a guest in the lab. Arguments: --rounds 4
//   --seconds 3 --sets exits --guest toy.
// `npm run bench -- perf-overhead`: the cost of perf for a guest of this machine. Arguments: --pairs 30 --ms
//   600.
// `npm run bench -- increases`: whether increase() of each counter of a live guest is right. Arguments:
//   --minutes 60.
// `npm run bench -- verdicts`: the share of wrong verdicts on real guests. Arguments: --minutes 60.
// `npm run bench -- soak`: whether RSS, descriptors and scrape time stay flat under churn and faults. Arguments:
//   --minutes 10 --births 20 --scrapers 50 --pace 1 --out dist/soak.
// `npm run bench -- limits`: the exporter with 1,000 VMs under limits of CPU and memory. Arguments: --vms 1000 --scrapes 8 --only CPUQuota.
// `npm run bench -- page`: what the history and the plans of the live page cost.
// `npm run bench -- compare`: whether the statistics of compare hold, on generated series. Arguments: --pairs 1000.
// `npm run bench -- compare-month`: time and memory of compare over 30 days of 50 VMs. Arguments: --vms 50 --days 30
//   --server victoria-metrics.
// `npm run bench -- compare-fleet`: the same of `compare --by label=kernel` over recorded series of many hosts. Arguments: --hosts 10000
//   --vms 4 --clusters 20 --hours 24 --series 300000.
// `npm run bench -- compare-recording`: the same of a recording with as many samples as compare reads.
import { become, ready, root } from './prepare.mjs';

ready();
const args = process.argv.slice(2);
const NAMES = [
  'real',
  'qmp',
  'hist',
  'domstats',
  'rules',
  'fleet',
  'simhost',
  'profiles',
  'fleet-capacity',
  'fleet-store',
  'sets',
  'fleet-agents',
  'fleet-faults',
  'lab-io-path',
  'lab-overhead',
  'lab-verdicts',
  'perf-overhead',
  'increases',
  'verdicts',
  'soak',
  'limits',
  'page',
  'compare',
  'compare-month',
  'compare-fleet',
  'compare-recording',
];
const which = NAMES.includes(args[0]) ? args.shift() : 'scrape';
become([`${root}dist/bench/${which}.js`, ...args]);
