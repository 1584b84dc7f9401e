/** The numbers with room for one more after the first `count`: the same array, or a copy of twice the size. */
export function withRoom(numbers: Float64Array, count: number): Float64Array {
  if (count < numbers.length) return numbers;
  const larger = new Float64Array(2 * count);
  larger.set(numbers);
  return larger;
}
