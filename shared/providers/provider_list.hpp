// PROVIDER(number, name): the number is stored in the segment and in the database and never changes
// its meaning; the order of the lines is the order of matching. Included several times.
PROVIDER(3, gemini)
PROVIDER(2, claude)
PROVIDER(1, codex)
