import { printable } from '../../probes/printable.ts';

/** Longer names are cut: nothing limits a libvirt name. */
const MAX_NAME = 60;
const MOST_NAMES = 4;

/** A name of a tenant in plain text: without control characters, and cut after 60 characters. */
export function plainName(name: string): string {
  return name === '' ? '""' : printable(shortened(name, MAX_NAME));
}

/** `parallel_batc…`. */
export function shortened(name: string, most: number): string {
  const characters = [...name];
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : name;
}

/** Some names, and the number of the others. */
export function someNames(all: readonly string[]): string {
  const shown = all.slice(0, MOST_NAMES).map(plainName).join(', ');
  return all.length > MOST_NAMES ? `${shown} and ${all.length - MOST_NAMES} more` : shown;
}
