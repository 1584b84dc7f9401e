export type Order =
  | { readonly kind: 'measure'; readonly test: string }
  | { readonly kind: 'try'; readonly mutant: string; readonly tests: readonly string[] }
  | { readonly kind: 'end' };

export type Reply =
  | {
      readonly kind: 'ready';
      /** Why a file could not be loaded. */
      readonly failure: string | undefined;
      readonly tests: readonly string[];
      /** Mutants that ran while the files were loaded. */
      readonly covered: readonly string[];
    }
  | {
      readonly kind: 'measured';
      readonly test: string;
      readonly ms: number;
      readonly covered: readonly string[];
      /** Why the test cannot be used. */
      readonly failure: string | undefined;
    }
  | {
      readonly kind: 'tried';
      readonly mutant: string;
      /** The test that failed. */
      readonly killer: string | undefined;
      readonly why: string | undefined;
      /** The test now fails without the mutant too. */
      readonly spoilt: boolean;
    };
