/* The names of a move's collections: three claims follow each other and every earlier mover may wake at any time. Collections are found by name.
 * One document (in the first batch) is written once more while the move goes on, with a note; another is in the second batch. Leases play no
 * part here, move.pml has them. What the placement names must be whole, and stay so. */
#ifndef CLAIMS
#define CLAIMS 3
#endif
#ifndef MARKER_INSIDE         /* the checkpoint travels in the collection; 0: it is in the operation's record, and what has the name is adopted */
#define MARKER_INSIDE 1
#endif
#ifndef MARKER_NOT_UPSERTED   /* a checkpoint is an update that creates nothing */
#define MARKER_NOT_UPSERTED 1
#endif
#ifndef NEWEST_PLACE          /* the place with the highest fence is taken over */
#define NEWEST_PLACE 1
#endif
#ifndef REGISTER_PLACE
#define REGISTER_PLACE 1
#endif
#ifndef MARKER_BEFORE_UNNOTE
#define MARKER_BEFORE_UNNOTE 1
#endif
#ifndef PLACED_UNDER_FENCED_NAME /* the placement gets the name that carries the fence; 0: the collection is renamed to a name without it first */
#define PLACED_UNDER_FENCED_NAME 1
#endif
#define FINAL 4
byte guard, gate, moved, placed;
byte source = 1, noted, record;         /* the document's value; its note; the checkpoint outside (only if !MARKER_INSIDE) */
byte first[5], second[5], marker[5];    /* by name: both documents; 0 no marker, else 1 + batches done */
#define EXISTS(n) (first[n] || second[n] || marker[n])
#define ADOPTABLE(n) (MARKER_INSIDE -> marker[n] : EXISTS(n))

inline movesTo(a, b) { d_step { first[b] = first[a]; second[b] = second[a]; marker[b] = marker[a]; first[a] = 0; second[a] = 0; marker[a] = 0 } }

proctype Mover(byte me) {
  byte done, value, name;
  
end:
  atomic { guard == me - 1 && !moved -> guard = me; gate = 0 }
find:
  atomic {
    if
    :: me > 1 && ADOPTABLE(FINAL) -> name = FINAL
    :: me > 2 && ADOPTABLE(2) && !(NEWEST_PLACE && ADOPTABLE(FINAL)) -> name = 2
    :: me > 1 && ADOPTABLE(1) && !(NEWEST_PLACE && (ADOPTABLE(FINAL) || (me > 2 && ADOPTABLE(2)))) -> name = 1
    :: !(me > 1 && ADOPTABLE(FINAL)) && !(me > 1 && ADOPTABLE(1)) && !(me > 2 && ADOPTABLE(2)) -> goto fresh
    fi }
  atomic {
    if
    :: EXISTS(name) && !EXISTS(me) -> movesTo(name, me); name = 0
    :: else -> name = 0; goto find
    fi }
#if MARKER_INSIDE
  atomic { if :: marker[me] :: else -> first[me] = 0; second[me] = 0; goto find fi }   /* a stray under its own name: dropped */
#endif
  goto register;
fresh:
  marker[me] = 1;
register:
#if REGISTER_PLACE
  atomic { if :: guard != me -> goto stop :: else fi }
#endif
  atomic { done = (MARKER_INSIDE -> (marker[me] -> marker[me] - 1 : 0) : record) }
  do
  :: atomic { done == 0 -> value = source }
     d_step { first[me] = value; value = 0 }
checkpoint:
     atomic {
       done++;
       if
       :: !MARKER_INSIDE -> if :: guard == me -> record = done :: else -> goto stop fi
       :: MARKER_INSIDE && (marker[me] || !MARKER_NOT_UPSERTED) -> marker[me] = done + 1
       :: MARKER_INSIDE && !(marker[me] || !MARKER_NOT_UPSERTED) -> goto stop
       fi }
  :: done == 1 -> d_step { second[me] = 1 } goto checkpoint
  :: done == 2 -> break
  od;
  do
  :: atomic { noted -> value = source }
     d_step { first[me] = value; value = 0 }
#if MARKER_BEFORE_UNNOTE && MARKER_INSIDE
     atomic { if :: marker[me] :: else -> goto stop fi }
#endif
     noted = 0
  :: atomic { if :: guard == me -> gate = 1; break :: else -> goto stop fi }
  od;
  atomic { if :: noted -> value = source :: else -> goto place fi }
  d_step { first[me] = value; value = 0 }
place:
#if PLACED_UNDER_FENCED_NAME
  atomic { if :: guard == me -> placed = me; moved = 1 :: else fi }
#else
  atomic { if :: EXISTS(me) && !EXISTS(FINAL) -> movesTo(me, FINAL) :: else -> goto stop fi }
  atomic { if :: guard == me -> placed = FINAL; moved = 1 :: else fi }
#endif
stop:
  atomic { done = 0; value = 0; name = 0 }
}

active proctype Writer() {
end:
  atomic { !gate && !moved && guard -> source = 2; noted = 1 }
}
active proctype Whole() {
end:
  atomic { moved && (first[placed] != source || !second[placed]) -> assert(false) }
}
init { atomic { run Mover(1); if :: CLAIMS > 1 -> run Mover(2) :: else fi; if :: CLAIMS > 2 -> run Mover(3) :: else fi } }
