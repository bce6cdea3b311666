import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

/** Serves MongoDB's wire protocol at HOST PORT, in memory, until it is killed. */
public class MongoOnLoopback {
    public static void main(String[] arguments) {
        new MongoServer(new MemoryBackend()).bind(arguments[0], Integer.parseInt(arguments[1]));
    }
}
