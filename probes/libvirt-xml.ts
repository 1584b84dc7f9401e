import { XMLParser } from 'fast-xml-parser';
import { malformed } from './errors.ts';
import { type Element, object } from './libvirt-domain.ts';

const LISTS =
  /\.(vcpus\.vcpu|iothreadids\.iothread|cputune\.(vcpu|iothread)pin|devices\.disk|iothreads\.iothread(\.queue)?)$/;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: true,
  isArray: (_, path) => LISTS.test(String(path)),
});

/**
 * The root element of an XML file of libvirt.
 *
 * @param format for the error
 * @throws SourceError malformed
 */
export function parseXml(text: string, root: string, format: string): Element {
  // The parser closes what a cut file left open.
  if (!text.trimEnd().endsWith(`</${root}>`)) throw malformed(format, text);
  try {
    return object(object(parser.parse(text))[root]);
  } catch {
    throw malformed(format, text);
  }
}
