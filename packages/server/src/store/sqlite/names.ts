/** Names and their numbers, which take less room. */
export class Names {
  readonly #names: string[] = [];
  readonly #numbers = new Map<string, number>();

  name(number: number): string {
    return this.#names[number]!;
  }

  number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }
}
