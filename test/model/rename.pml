/* A tenant with a collection of its own gets a new name: seal (readers and writers wait) -> wait a lease -> renameCollection -> cutover. When the
 * database refuses the rename the organization is opened again where it is.
 * Another tenant takes the old name at once. Collections are found by name, so whatever arrives late finds what has that name by then, and a
 * write to a name that is gone creates it again. Tenant 1 goes from name 0 to name 1, and perhaps on to name 2; tenant 2 takes name 0, or a
 * physical name that was never used (3), as the code has it: a name is retired before it is given up, and isn't given again. (Where a
 * statement carries the collection's UUID it may be, once nothing has come for a while: then what arrives late matches nothing.) */
#ifndef CLAIMS            /* 1: one mover. 2: another takes over. 3: afterwards the tenant gets a third name */
#define CLAIMS 1
#endif
#ifndef NAME_GIVEN_ONCE   /* a physical name is never used again, whatever the tenant is called */
#define NAME_GIVEN_ONCE 1
#endif
#ifndef READERS_WAIT      /* readers wait too while the collection changes its name */
#define READERS_WAIT 1
#endif
#ifndef WAIT_LEASE
#define WAIT_LEASE 1
#endif
#ifndef TENANT_FILTER
#define TENANT_FILTER 1
#endif
#ifndef VALIDATE_WRITES
#define VALIDATE_WRITES 1
#endif
#ifndef VALIDATE_READS
#define VALIDATE_READS 1
#endif
#ifndef GUARD_IN_CUTOVER
#define GUARD_IN_CUTOVER 1
#endif
#ifndef OCCUPY_TARGET     /* who takes over opens a rename again only when something has the target name: the first one's may still arrive */
#define OCCUPY_TARGET 1
#endif
#ifndef KEEP_TARGET       /* renameCollection never drops what has the target name */
#define KEEP_TARGET 1
#endif
#define NONE 0
#define SEALED 1
#define HAS(set, i) (((set) >> (i)) & 1)
#define BIT(i) (1 << (i))
#define WRITER 1
#define READER 2

byte place, phase, epoch, guard;         /* tenant 1's organization */
byte one[4], two[4];                     /* what each name holds of tenant 1 and of tenant 2: the value of one document; 0 none */
byte blocked;                            /* names that an empty collection has, so that no rename gives them */
byte rest[4];                            /* tenant 1's other documents, as one: there or not */
byte lease, aging[4], cachePlace, cacheEpoch;
bool answered, seen;                     /* tenant 1's write of the value 2 was acknowledged; its value was read */

inline take(q)  { lease = lease | BIT(q); aging[1] = aging[1] & ~BIT(q); aging[2] = aging[2] & ~BIT(q); aging[3] = aging[3] & ~BIT(q) }
inline drop(q)  { lease = lease & ~BIT(q) }
inline share(q) { lease = lease | BIT(q);
  aging[1] = (aging[1] & ~BIT(q)) | ((aging[1] & 1) << q); aging[2] = (aging[2] & ~BIT(q)) | ((aging[2] & 1) << q);
  aging[3] = (aging[3] & ~BIT(q)) | ((aging[3] & 1) << q) }
inline look(q)  { where = place; when = epoch; if :: phase == NONE -> take(q) :: else -> drop(q) fi }
inline begin(q, passes) {
  if
  :: HAS(lease, 0) -> where = cachePlace; when = cacheEpoch; share(q)
  :: phase == NONE || passes -> look(q);
     if :: !HAS(lease, 0) && HAS(lease, q) -> cachePlace = place; cacheEpoch = epoch; take(0) :: skip fi
  fi }

proctype Write() {
  byte where, when;
  atomic { begin(WRITER, false) }
again:
  one[where] = 2;                        /* by tenant_id and _id; creates the collection if there is none */
  if
  :: atomic { HAS(lease, WRITER) || !VALIDATE_WRITES || (epoch == when && phase == NONE) -> goto done }
  :: atomic { !(HAS(lease, WRITER) || !VALIDATE_WRITES || epoch == when) && phase == NONE -> look(WRITER); goto again }
  fi;
done:
  atomic { answered = true; drop(WRITER); where = 0; when = 0 }
}

proctype Read() {
  byte where, when, value; bool must;
end:
  do
  :: atomic { must = answered || seen; begin(READER, !READERS_WAIT) }
again:
     value = (rest[where] -> one[where] : 0);
     if
     :: atomic { HAS(lease, READER) || !VALIDATE_READS || epoch == when -> goto answer }
     :: atomic { !(HAS(lease, READER) || !VALIDATE_READS || epoch == when) && (phase == NONE || !READERS_WAIT) -> value = 0; look(READER); goto again }
     fi;
answer:
     atomic { assert(value == 2 || (value == 1 && !must)); if :: value == 2 -> seen = true :: else fi;
       drop(READER); value = 0; where = 0; when = 0; must = false }
  od
}

proctype Other() {                       /* tenant 2: takes the name as soon as the organization's document lets go of it, writes, reads */
  byte home;
end0:
  atomic { place != 0 -> home = (NAME_GIVEN_ONCE -> 3 : 0); two[home] = 1 }
end:
  do
  :: assert(two[home] == 1 && (TENANT_FILTER || one[home] == 0))
  od
}

proctype Mover(byte me; byte from; byte to) {
end:
  atomic {
    if
    :: me == 1
    :: me == 2 -> guard == 1; if :: place != from -> goto stop :: else fi
    :: me == 3 -> place == from && phase == NONE
    fi;
    guard = me;
    if :: phase == NONE -> phase = SEALED; epoch++ :: else fi;
    aging[me] = lease }
#if WAIT_LEASE
  atomic { lease = lease & ~aging[me]; aging[me] = 0; if :: !HAS(lease, 0) -> cachePlace = 0; cacheEpoch = 0 :: else fi }
#endif
  if
  :: me <= 2 ->                          /* refused by the database: nothing was changed */
     atomic {
       if
       :: me == 2 && OCCUPY_TARGET && rest[to] -> goto cutover
       :: me == 2 && OCCUPY_TARGET && !rest[to] -> blocked = blocked | BIT(to)
       :: me == 1 || !OCCUPY_TARGET
       fi }
     atomic { if :: guard == me -> phase = NONE; epoch++ :: else fi; goto stop }
  :: true
  fi;
  d_step {                               /* renameCollection: fails without a source, or with a target */
    if
    :: (one[from] || two[from]) && (!(one[to] || two[to] || HAS(blocked, to)) || !KEEP_TARGET) -> one[to] = one[from]; two[to] = two[from]; rest[to] = rest[from]; one[from] = 0; two[from] = 0; rest[from] = 0
    :: else
    fi }
  atomic { if :: rest[to] :: else -> goto stop fi }  /* another has the name: the next one is tried, which is a rename of its own */
cutover:
  atomic { if :: guard == me || !GUARD_IN_CUTOVER -> place = to; phase = NONE; epoch++ :: else fi }
stop:
  aging[me] = 0
}

init {
  atomic {
    one[0] = 1; rest[0] = 1;
    run Mover(1, 0, 1);
    if :: CLAIMS >= 2 -> run Mover(2, 0, 1) :: else fi;
    if :: CLAIMS >= 3 -> run Mover(3, 1, 2) :: else fi;
    run Other(); run Read(); run Write() }
}
